"""The application for granian or gunicorn: `granian --interface wsgi wsgi:app`."""

from rollouts.app import create_app

app = create_app()
