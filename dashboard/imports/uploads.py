"""Uploads over the limit are read past, not stored: FILE_UPLOAD_HANDLERS names this before Django's own handlers."""

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload


class SizeLimit(FileUploadHandler):
    """Stops keeping a file once it is larger than any form here takes; the form then says that none came."""

    SLACK = 64 * 1024  # a file just over the limit comes through, to be told its size

    def receive_data_chunk(self, raw_data, start):
        if start + len(raw_data) > settings.IMPORT_MAX_BYTES + self.SLACK:
            raise StopUpload(connection_reset=False)
        return raw_data

    def file_complete(self, file_size):
        return None
