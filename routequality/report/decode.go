package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"nearcast/cdn"
)

// popText is a [POP] whose parts are still text.
type popText struct {
	POP

	Members json.RawMessage `json:"members"`
	Nodes   json.RawMessage `json:"nodes"`
	Votes   json.RawMessage `json:"votes"`
	Probes  json.RawMessage `json:"probes"`
}

// nodeText is a [Node] whose parts are still text.
type nodeText struct {
	Node

	Load     json.RawMessage `json:"load"`
	Visitors json.RawMessage `json:"visitors"`
}

// batchText is a [cdn.VisitorBatch] whose parts are still text.
type batchText struct {
	cdn.VisitorBatch

	Samples json.RawMessage `json:"samples"`
	Sites   json.RawMessage `json:"sites"`
}

func decodePOP(text []byte, now time.Time) (*POP, Refused, error) {
	var raw popText
	var refused Refused
	err := json.Unmarshal(text, &raw)
	if err == nil {
		err = raw.decode(now, &refused)
	}
	if err != nil {
		return nil, Refused{}, cdn.Errorf(cdn.Invalid, "", "reading a POP's report: %w", err)
	}
	return &raw.POP, refused, nil
}

// decode fills in the parts.
func (r *popText) decode(now time.Time, refused *Refused) error {
	p := &r.POP
	if _, err := cdn.ParsePOPName(string(p.POP)); err != nil {
		return fmt.Errorf("pop: %w", err)
	}
	if err := (head{"from", p.From, p.Incarnation, p.Seq, p.At}).check(now); err != nil {
		return err
	}
	var err error
	p.Members, err = items(r.Members, "members", MaxMembers, refused, checkMember())
	if err != nil {
		return err
	}
	nodes, err := items(r.Nodes, "nodes", MaxNodes, refused, func(i int, n *nodeText) error {
		return n.decode(fmt.Sprintf("nodes[%d].", i), now, refused)
	})
	if err != nil {
		return err
	}
	for i := range nodes {
		p.Nodes = append(p.Nodes, nodes[i].Node)
	}
	p.Votes, err = items(r.Votes, "votes", MaxVotes, refused, checkVote(p.POP))
	if err != nil {
		return err
	}
	p.Probes, err = items(r.Probes, "probes", MaxProbes, refused, checkProbe(p.POP, now))
	return err
}

// decode fills in the parts. Its own are in front of where.
func (r *nodeText) decode(where string, now time.Time, refused *Refused) error {
	n := &r.Node
	if err := (head{"node", n.Node, n.Incarnation, n.Seq, n.At}).check(now); err != nil {
		return err
	}
	load, err := part[cdn.NodeLoad](r.Load)
	if err == nil && load != nil {
		err = checkLoad(load)
	}
	if err == nil {
		n.Load = load
	} else {
		refused.add(fmt.Errorf("%sload: %w", where, err))
	}
	batch, err := part[batchText](r.Visitors)
	if err == nil && batch != nil {
		err = batch.decode(where+"visitors.", now, refused)
	}
	switch {
	case err != nil:
		refused.add(fmt.Errorf("%svisitors: %w", where, err))
	case batch != nil:
		n.Visitors = &batch.VisitorBatch
	}
	return nil
}

func (r *batchText) decode(where string, now time.Time, refused *Refused) (err error) {
	b := &r.VisitorBatch
	if err := checkBatch(b, now); err != nil {
		return err
	}
	if b.Samples, err = items(r.Samples, where+"samples", MaxSamples, refused, checkSample(b.Interval)); err != nil {
		return err
	}
	b.Sites, err = items(r.Sites, where+"sites", MaxSites, refused, checkSite(b.Interval))
	return err
}

// part decodes an object; it returns nil if there is none.
func part[T any](text json.RawMessage) (*T, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil //nolint:nilnil // documented: there is none
	}
	v := new(T)
	if err := json.Unmarshal(text, v); err != nil {
		return nil, err //nolint:wrapcheck // the caller says where
	}
	return v, nil
}

// DecodeNode reads a message of a node, as [Decode] does.
func DecodeNode(msg []byte, now time.Time) (*Node, Refused, error) {
	var raw nodeText
	var refused Refused
	var err error
	if len(msg) > 0 && msg[0] == compactLoad {
		err = raw.decodeLoad(msg, now, &refused)
	} else {
		err = raw.decodeJSON(msg, now, &refused)
	}
	if err != nil {
		return nil, Refused{}, cdn.Errorf(cdn.Invalid, "", "reading a node's report: %w", err)
	}
	return &raw.Node, refused, nil
}

func (r *nodeText) decodeJSON(msg []byte, now time.Time, refused *Refused) error {
	text, err := read(bytes.NewReader(msg), MaxMessage)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, r); err != nil {
		return err //nolint:wrapcheck // the caller says where
	}
	return r.decode("", now, refused)
}
