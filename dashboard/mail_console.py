"""Mail as the terminal shows it while no mail server is set (MAIL_URL=console:): to read, not to deliver."""

from django.core.mail.backends import console


class EmailBackend(console.EmailBackend):
    """Prints whom a mail is for, its subject and its text; of attachments only the names."""

    def write_message(self, message):
        lines = [f"To: {', '.join(message.recipients())}", f"Subject: {message.subject}", "", message.body]
        lines += [f"[attached: {file[0]}]" for file in message.attachments if isinstance(file, tuple)]
        self.stream.write("\n".join(["-" * 79, *lines, "-" * 79, ""]))
