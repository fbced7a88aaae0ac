package feedclient

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"nearcast/control/protocol"
)

// entry is one entry of a log.
type entry struct {
	seq  uint64
	sum  string // protocol.HeaderSum; empty for purges
	data []byte
}

// fetch reads entries by number. Without an error there is at least one.
func (s *session) fetch(ctx context.Context, stream string, want protocol.DirectGet) ([]entry, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	question, err := json.Marshal(want)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	inbox := s.conn.NewInbox()
	sub, err := s.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("reading the log %s: %w", stream, err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only when the connection has gone
	if err := s.conn.PublishRequest(protocol.Direct+stream, inbox, question); err != nil {
		return nil, fmt.Errorf("reading the log %s: %w", stream, err)
	}
	var entries []entry
	for len(entries) < max(1, want.Batch) {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the log %s from %d: %w", stream, want.Seq, err)
		}
		if status := m.Header.Get(protocol.HeaderStatus); status == protocol.StatusEnd {
			break
		} else if status != "" {
			return nil, fmt.Errorf("reading the log %s from %d: status %s", stream, want.Seq, status)
		}
		e, err := readEntry(m)
		if err != nil {
			return nil, fmt.Errorf("reading the log %s: %w", stream, err)
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("reading the log %s from %d: there is nothing", stream, want.Seq)
	}
	return entries, nil
}

func readEntry(m *nats.Msg) (entry, error) {
	seq, err := strconv.ParseUint(m.Header.Get(protocol.HeaderSequence), 10, 64)
	if err != nil {
		return entry{}, fmt.Errorf("an entry without its number: %w", err)
	}
	return entry{seq, m.Header.Get(protocol.HeaderSum), m.Data}, nil
}
