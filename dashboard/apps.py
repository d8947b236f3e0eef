from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"
    label = "dashboard"

    def ready(self):
        from django.urls import register_converter

        from dashboard import checks, doors, values  # noqa: F401  checks register themselves
        from dashboard.ids import PublicIdConverter

        register_converter(PublicIdConverter, "id")
        doors.watch()
        values.watch()
