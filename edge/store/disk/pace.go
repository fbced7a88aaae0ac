package disk

import (
	"context"
	"time"
)

// pacer spreads work over time, so many octets in a second. It is not for concurrent use.
type pacer struct {
	store *Store
	rate  int64     // 0: as fast as it goes
	ready time.Time // when what has been spent is paid for
}

const (
	// paceCredit is how far it may lag behind its rate and still catch up.
	paceCredit = time.Second
	// paceStep is the least that is worth a pause.
	paceStep = 10 * time.Millisecond
)

// spend waits until octets more are paid for, nearly. It returns an error if the context or the store ends first.
func (p *pacer) spend(ctx context.Context, octets int64) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	now := time.Now()
	switch earliest := now.Add(-paceCredit); {
	case p.ready.IsZero():
		p.ready = now
	case p.ready.Before(earliest):
		p.ready = earliest
	}
	p.ready = p.ready.Add(time.Duration(float64(octets) / float64(p.rate) * float64(time.Second)))
	wait := p.ready.Sub(now)
	if wait < paceStep {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.store.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
