from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"
    label = "dashboard"

    def ready(self):
        from django.urls import register_converter

        from dashboard import checks  # noqa: F401  registers them
        from dashboard.ids import PublicIdConverter

        register_converter(PublicIdConverter, "id")
