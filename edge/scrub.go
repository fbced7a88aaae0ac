package edge

import (
	"context"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store/disk"
)

// scrubEvery is how long it takes at least from the start of one verification in the background to that of the next.
const scrubEvery = 24 * time.Hour

// scrubber counts what verifications have found.
type scrubber struct {
	passes, records, octets, damaged, errors atomic.Int64
	asked                                    atomic.Bool // one that the operator has asked for is running
}

// add counts what has been found since the last report.
func (c *scrubber) add(r, last disk.Report) {
	c.records.Add(r.Records - last.Records)
	c.octets.Add(r.Octets - last.Octets)
	c.damaged.Add(r.Damaged - last.Damaged)
	c.errors.Add(r.Errors - last.Errors)
}

// verify compares the checksums of everything on disk, and counts what it finds. tell is called with what that is so far.
func (s *Server) verify(ctx context.Context, rate int64, tell func(disk.Report)) (disk.Report, error) {
	var last disk.Report
	r, err := s.tiers.Verify(ctx, rate, func(r disk.Report) {
		s.scrubber.add(r, last)
		last = r
		tell(r)
	})
	s.scrubber.add(r, last)
	if err == nil {
		s.scrubber.passes.Add(1)
	}
	return r, err
}

// verifyAsked is verify for the operator, one at a time.
func (s *Server) verifyAsked(ctx context.Context, rate int64, tell func(disk.Report)) (disk.Report, error) {
	if !s.scrubber.asked.CompareAndSwap(false, true) {
		return disk.Report{}, cdn.Errorf(cdn.Conflict, "", "another verification is running: wait for it, or stop it")
	}
	defer s.scrubber.asked.Store(false)
	return s.verify(ctx, rate, tell)
}

// scrubbing verifies in the background, until ctx ends.
func (s *Server) scrubbing(ctx context.Context) {
	warm := s.tiers.Warm()
	if warm == nil || s.cfg.VerifyRate <= 0 {
		return
	}
	select {
	case <-warm:
	case <-ctx.Done():
		return
	}
	for {
		begin := time.Now()
		r, err := s.verify(ctx, int64(s.cfg.VerifyRate), func(disk.Report) { s.awaitQuiet(ctx) })
		switch {
		case ctx.Err() != nil:
			return
		case err != nil || r.Damaged+r.Errors > 0:
			s.log.WarnContext(ctx, "verified what is on disk", "records", r.Records, "octets", r.Octets, "damaged", r.Damaged, "unreadable", r.Errors, "error", err)
		default:
			s.log.InfoContext(ctx, "verified what is on disk", "records", r.Records, "octets", r.Octets)
		}
		if !rest(ctx, max(scrubEvery-time.Since(begin), time.Hour)) {
			return
		}
	}
}
