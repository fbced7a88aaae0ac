package store

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

// Version is a version of the configuration without its content.
type Version struct {
	Generation cdn.Generation
	At         time.Time // when it was made
	By         string    // who made it
	Digest     string    // of its content
	Sites      int       // how many it has
}

// List returns the versions that are kept, newest first.
func (s *Store) List(ctx context.Context) ([]Version, error) {
	log, err := logState(ctx, s.snapshots)
	if err != nil || log.Last == 0 || log.First > log.Last {
		return nil, err
	}
	// Only headers: the contents may be large and are not wanted.
	consumer, err := s.snapshots.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, unavailable("listing the versions", err)
	}
	batch, err := consumer.FetchNoWait(int(log.Last - log.First + 1))
	if err != nil {
		return nil, unavailable("listing the versions", err)
	}
	var versions []Version
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return nil, unavailable("listing the versions", err)
		}
		versions = append(versions, version(meta.Sequence.Stream, msg.Headers()))
	}
	if err := batch.Error(); err != nil {
		return nil, unavailable("listing the versions", err)
	}
	slices.Reverse(versions)
	return versions, nil
}

func version(seq uint64, h nats.Header) Version {
	at, _ := time.Parse(time.RFC3339Nano, h.Get(protocol.HeaderAt)) // a damaged time shows as zero
	sites, _ := strconv.Atoi(h.Get(protocol.HeaderSites))           // a damaged number shows as zero
	return Version{
		Generation: cdn.Generation(seq),
		At:         at,
		By:         h.Get(protocol.HeaderBy),
		Digest:     h.Get(protocol.HeaderDigest),
		Sites:      sites,
	}
}

// AppendPurge stores p and returns its place in the log, once it is on disk. The
// same ID within two minutes is the same entry, so that a caller may try again.
func (s *Store) AppendPurge(ctx context.Context, p cdn.Purge) (cdn.Revision, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, unavailable("encoding a purge", err)
	}
	if len(data) > maxPurge {
		return 0, cdn.Errorf(cdn.Invalid, "", "the purge has %d octets, at most %d are possible; send less at a time", len(data), maxPurge)
	}
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: protocol.Purge, Data: data}, jetstream.WithMsgID(p.ID))
	if err != nil {
		return 0, unavailable("appending a purge", err)
	}
	return cdn.Revision(ack.Sequence), nil
}
