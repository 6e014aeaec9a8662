package p2p

import (
	"errors"

	"parley/internal/peerset"
	"parley/rlpx"
)

// admitError gives a refusal by the peer set the reason to tell the other side.
func admitError(err error) error {
	reason := DiscUselessPeer
	switch {
	case errors.Is(err, peerset.ErrSelf):
		reason = DiscSelf
	case errors.Is(err, peerset.ErrAlreadyConnected):
		reason = DiscAlreadyConnected
	case errors.Is(err, peerset.ErrTooManyPeers) || errors.Is(err, peerset.ErrTooManyInNet):
		reason = DiscTooManyPeers
	}
	return &replyError{reason, err}
}

// gateOf returns the gate that a step of setup stands for.
func gateOf(e *SetupError) Gate {
	switch e.Step {
	case StepDial:
		if refusedHere(e) {
			return peerset.GateOf(e.Err)
		}
		return GateDial
	case StepHandshake:
		return GateRLPx
	case StepAdmit:
		return peerset.GateOf(e.Err)
	}
	return GateHello
}

// refusedHere reports whether it was not the other side, and not a lack of room, that
// stood against a connection.
func refusedHere(err error) bool {
	return errors.Is(err, peerset.ErrRestricted) || errors.Is(err, peerset.ErrBanned) || errors.Is(err, peerset.ErrPolicy)
}

// causeOf tells the peer set what a failure means for the next dial.
func causeOf(err error) peerset.Cause {
	reason, ok := errors.AsType[DiscReason](err)
	e, setup := errors.AsType[*SetupError](err)
	switch {
	case errors.Is(err, rlpx.ErrSelf):
		return peerset.CauseSelf
	case errors.Is(err, peerset.ErrTooManyPeers) || errors.Is(err, peerset.ErrTooManyInNet):
		return peerset.CauseNoRoom // here
	case refusedHere(err):
		return peerset.CauseRefused
	case !ok && setup && e.Step == StepHandshake && !isTimeout(err):
		return peerset.CauseDropped
	case !ok:
		return peerset.CauseUnreachable
	}
	switch reason {
	case DiscTooManyPeers:
		return peerset.CauseTooManyPeers
	case DiscAlreadyConnected:
		return peerset.CauseAlreadyConnected
	case DiscSelf:
		return peerset.CauseSelf
	case DiscRequested, DiscQuitting:
		return peerset.CauseEnded
	case DiscNetworkError, DiscReadTimeout:
		return peerset.CauseUnreachable
	}
	return peerset.CauseUseless
}
