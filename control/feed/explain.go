package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

// Answer is what one node said, or why it said nothing.
type Answer struct {
	Node        cdn.NodeName
	Explanation cdn.Explanation // meaningless if Err is set
	Err         error
}

// Explain asks the nodes what they would do with a GET and
// returns one answer for each, in their order. It waits until all have answered
// or ctx ends.
func (f *Feed) Explain(ctx context.Context, question cdn.Question, nodes []cdn.NodeName) ([]Answer, error) {
	data, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("encoding the question: %w", err)
	}
	answers := make([]Answer, len(nodes))
	for i, node := range nodes {
		answers[i] = Answer{Node: node, Err: cdn.Errorf(cdn.Timeout, "", "the node did not answer in time")}
	}
	inbox := f.cfg.Conn.NewInbox() + "."
	replies := make(chan *nats.Msg, len(nodes)) // one per node: nobody answers twice
	sub, err := f.cfg.Conn.ChanSubscribe(inbox+"*", replies)
	if err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "asking the nodes: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only when the connection has gone
	for i, node := range nodes {
		if err := f.cfg.Conn.PublishRequest(protocol.Explain+string(node), inbox+strconv.Itoa(i), data); err != nil {
			return nil, cdn.Errorf(cdn.Unavailable, "", "asking node %s: %w", node, err)
		}
	}
	for range nodes {
		select {
		case m := <-replies:
			if i, err := strconv.Atoi(strings.TrimPrefix(m.Subject, inbox)); err == nil && i >= 0 && i < len(answers) {
				answers[i] = readAnswer(nodes[i], m)
			}
		case <-ctx.Done():
			return answers, nil
		}
	}
	return answers, nil
}

func readAnswer(node cdn.NodeName, m *nats.Msg) Answer {
	a := Answer{Node: node}
	// Status 503 is the server's word that nobody listens on the subject.
	if m.Header.Get(protocol.HeaderStatus) == "503" {
		a.Err = cdn.Errorf(cdn.Unavailable, "", "the node is not connected to the control plane")
	} else if err := json.Unmarshal(m.Data, &a.Explanation); err != nil {
		a.Err = cdn.Errorf(cdn.Other, "", "the node's answer does not decode: %w", err)
	}
	return a
}
