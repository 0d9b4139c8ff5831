"""A repository that uses prpgate, as the tests that go from end to end have it."""

from __future__ import annotations

from tests.e2e.conftest import project as project
