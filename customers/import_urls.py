"""Paths of the import of customers; included by customers/urls.py, in its namespace."""

from django.urls import path

from customers import import_views as views

urlpatterns = [
    path("imports/", views.ImportList.as_view(), name="imports"),
    path("imports/new/", views.ImportStart.as_view(), name="import_new"),
    path("imports/template.csv", views.ImportTemplate.as_view(), name="import_template"),
    path("imports/<id:pk>/", views.ImportDetail.as_view(), name="import"),
    path("imports/<id:pk>/format/", views.ImportFormat.as_view(), name="import_format"),
    path("imports/<id:pk>/columns/", views.ImportAgain.as_view(), name="import_columns"),
    path("imports/<id:pk>/confirm/", views.ImportConfirm.as_view(), name="import_confirm"),
    path("imports/<id:pk>/continue/", views.ImportContinue.as_view(), name="import_continue"),
    path("imports/<id:pk>/cancel/", views.ImportCancel.as_view(), name="import_cancel"),
    path("imports/<id:pk>/errors.csv", views.ImportErrors.as_view(), name="import_errors"),
]
