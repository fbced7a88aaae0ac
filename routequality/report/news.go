package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"nearcast/cdn"
)

// MaxUnusable bounds the nodes that news say are not to be asked.
const MaxUnusable = 1024

// Answer is what a route-quality server says to a POP's report.
type Answer struct {
	// Unusable are the nodes that are not to be asked now, of POPs that this one asks on a miss or sends visitors to when it is overloaded, in any
	// order. All others are healthy, as far as is known.
	Unusable []cdn.NodeName `json:"unusable,omitempty"`
}

// DecodeAnswer reads an answer. An empty one says nothing, and is nil.
func DecodeAnswer(r io.Reader) (*Answer, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer to a report: %w", err)
	case len(text) == 0:
		return nil, nil //nolint:nilnil // documented
	case len(text) > MaxMessage:
		return nil, cdn.Errorf(cdn.Invalid, "", "the answer to a report has more than %d octets", MaxMessage)
	}
	a := new(Answer)
	if err := json.Unmarshal(text, a); err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "reading the answer to a report: %w", err)
	}
	return a, a.check()
}

func (a *Answer) check() error {
	if len(a.Unusable) > MaxUnusable {
		return cdn.Errorf(cdn.Invalid, "", "%d nodes are told to be unusable, at most %d are allowed", len(a.Unusable), MaxUnusable)
	}
	return nil
}

// News is what the aggregators of a POP tell its nodes.
type News struct {
	Answer
	// Blind is whether the aggregator hears no route-quality server, so that nothing is said of what is unusable.
	Blind bool `json:"blind,omitempty"`
	// Loads are the utilisations of the POP's own nodes: 1 is all of the scarcest resource.
	Loads map[cdn.NodeName]float32 `json:"loads,omitempty"`
}

// news begins a message with news; no report of a node begins so.
const news = 2

// IsNews reports whether a message of the POP's pool is news, rather than a report of a node.
func IsNews(msg []byte) bool { return len(msg) > 0 && msg[0] == news }

// Encode returns the news as one message. It fails if that is longer than [MaxMessage].
func (n *News) Encode() ([]byte, error) {
	text, err := encode(n, MaxMessage-1)
	if err != nil {
		return nil, err
	}
	return append([]byte{news}, text...), nil
}

// DecodeNews reads a message with news. Loads that cannot be are left out.
func DecodeNews(msg []byte) (*News, error) {
	if !IsNews(msg) {
		return nil, cdn.Errorf(cdn.Invalid, "", "it is no news")
	}
	text, err := read(bytes.NewReader(msg[1:]), MaxMessage)
	if err != nil {
		return nil, err
	}
	n := new(News)
	if err := json.Unmarshal(text, n); err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "reading news: %w", err)
	}
	if len(n.Loads) > MaxMembers {
		return nil, cdn.Errorf(cdn.Invalid, "", "news have the load of %d nodes, at most %d are allowed", len(n.Loads), MaxMembers)
	}
	for name, load := range n.Loads {
		if !(load >= 0 && load <= 20) { // written so that NaN fails
			delete(n.Loads, name)
		}
	}
	return n, n.check()
}
