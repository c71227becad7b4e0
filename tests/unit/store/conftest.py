import pytest

from tests.unit.store.support import Bench


@pytest.fixture(params=["native", "python"])
def engine(request):
    """Who answers requests."""
    return request.param


@pytest.fixture
def make_bench(tmp_path, engine):
    """Makes stores over an in-process edge; closes them after the test."""
    made = []

    def make(**options):
        options.setdefault("engine", engine)
        made.append(Bench(tmp_path / str(len(made)), **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()
