import pytest

from tests.phone import test_fault_matrix as m
from tests.phone.test_fault_matrix import FAULTS, MOMENTS

pytestmark = [pytest.mark.timeout(900)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", list(FAULTS)[3:])
def test_once(make_phone, server, suite, tmp_path, fault, moment):
    m.test_it_ends_by_itself_with_every_job_once(make_phone, server, suite, tmp_path, fault, moment)
