from app.readiness import START_LIMIT, Phase, Readiness


def test_opens_after_the_first_round_when_warm() -> None:
    readiness = Readiness(100.0)
    assert not readiness.look(101.0, first_round_over=False, discovery_failed=(), warm=False)
    assert not readiness.look(102.0, first_round_over=True, discovery_failed=(), warm=False)
    assert readiness.reason == "the kernels are being compiled"
    assert readiness.look(103.0, first_round_over=True, discovery_failed=(), warm=True)
    assert readiness.ready
    assert readiness.reason == ""


def test_failed_discovery_holds_it_until_the_limit() -> None:
    readiness = Readiness(0.0)
    failed = ["eu: targets.yaml: no such file"]
    assert not readiness.look(1.0, first_round_over=True, discovery_failed=failed, warm=True)
    assert readiness.reason == failed[0]
    assert not readiness.look(START_LIMIT - 0.1, first_round_over=True, discovery_failed=failed, warm=True)
    assert readiness.look(START_LIMIT, first_round_over=True, discovery_failed=failed, warm=True)


def test_kernels_hold_it_past_the_limit() -> None:
    readiness = Readiness(0.0)
    assert not readiness.look(START_LIMIT * 2, first_round_over=False, discovery_failed=(), warm=False)
    assert readiness.look(START_LIMIT * 2, first_round_over=False, discovery_failed=(), warm=True)


def test_only_draining_clears_it() -> None:
    readiness = Readiness(0.0)
    readiness.look(1.0, first_round_over=True, discovery_failed=(), warm=True)
    readiness.look(2.0, first_round_over=False, discovery_failed=["gone"], warm=True)
    assert readiness.ready
    readiness.drain()
    assert readiness.phase is Phase.DRAINING
    readiness.look(3.0, first_round_over=True, discovery_failed=(), warm=True)
    assert not readiness.ready
