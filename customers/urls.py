from django.urls import include, path

from customers import privacy_views as privacy
from customers import record_views as records
from customers import views

app_name = "customers"

addresses = [
    path("new/", records.AddressCreate.as_view(), name="address_new"),
    path("<id:pk>/edit/", records.AddressEdit.as_view(), name="address_edit"),
    path("<id:pk>/default/", records.AddressDefault.as_view(), name="address_default"),
    path("<id:pk>/delete/", records.AddressRemove.as_view(), name="address_delete"),
]
comments = [
    path("", records.CommentCreate.as_view(), name="comment_new"),
    path("<id:pk>/edit/", records.CommentEdit.as_view(), name="comment_edit"),
    path("<id:pk>/delete/", records.CommentDelete.as_view(), name="comment_delete"),
    path("<id:pk>/pin/", records.CommentPin.as_view(), name="comment_pin"),
    path("<id:pk>/unpin/", records.CommentUnpin.as_view(), name="comment_unpin"),
]
urlpatterns = [
    path("", views.CustomerList.as_view(), name="customers"),
    path("new/", views.CustomerCreate.as_view(), name="new"),
    path("", include("customers.import_urls")),
    path("<id:pk>/", views.CustomerDetail.as_view(), name="customer"),
    path("<id:pk>/panel/", views.CustomerPanel.as_view(), name="panel"),
    path("<id:pk>/edit/", views.CustomerEdit.as_view(), name="edit"),
    path("<id:pk>/archive/", views.CustomerArchive.as_view(), name="archive"),
    path("<id:pk>/restore/", views.CustomerRestore.as_view(), name="restore"),
    path("<id:pk>/data/", privacy.DataPack.as_view(), name="data"),
    path("<id:pk>/erase/", privacy.CustomerErase.as_view(), name="erase"),
    path("<id:pk>/kept/", privacy.CustomerKept.as_view(), name="kept"),
    path("<id:customer>/addresses/", include(addresses)),
    path("<id:customer>/comments/", include(comments)),
]
