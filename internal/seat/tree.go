package seat

import (
	"math/bits"
	"time"
)

// kind is what a seat is among.
type kind int

const (
	quiet    kind = iota // those that have never asked
	asking               // those that have, but for
	answered             // those that were found being answered
	kinds
)

// perDoubling is how much longer a connection counts as idle when its client, or its network, has twice the seats.
const perDoubling = time.Second

// burden is what so many seats count for.
func burden(seats int) int64 { return int64(perDoubling) * int64(bits.Len(uint(max(seats, 1)-1))) } //nolint:gosec // not negative

// node is all seats, those of a network, those of a client, or one seat.
type node struct {
	parent *node
	seats  int
	below  [kinds]queue // the nodes below that have seats of a kind, the least that matters first
	rank   [kinds]int64 // of the seat that would go first, less for what matters less: since when it is idle, less the burdens below this node's own
	at     [kinds]int   // its place in the parent's queue, from 1; 0 for none
	seat   *Seat        // of a leaf
}

// key is what the parent sorts by.
func (n *node) key(k kind) int64 { return n.rank[k] - burden(n.seats) }

// grow changes how many seats a leaf and all above it have.
func (n *node) grow(by int) {
	for ; n != nil; n = n.parent {
		n.seats += by
	}
}

// settle puts a node, whose rank or number of seats has changed, and all above it, where they belong. Nodes that have nothing of a kind are in no queue of it.
func (n *node) settle(k kind, has bool) {
	for p := n.parent; p != nil; n, p = p, p.parent {
		switch q := &p.below[k]; {
		case has && n.at[k] == 0:
			q.push(n, k)
		case has:
			q.fix(n.at[k]-1, k)
		case n.at[k] != 0:
			q.remove(n.at[k]-1, k)
		}
		if has = len(p.below[k]) > 0; has {
			p.rank[k] = p.below[k][0].key(k)
		}
	}
}

// settleAll is settle for a node that has other nodes below, and all kinds but one.
func (n *node) settleAll(but kind) {
	for k := range kinds {
		if k != but {
			n.settle(k, len(n.below[k]) > 0)
		}
	}
}

// first is the seat of a kind that would go first, or nil.
func (n *node) first(k kind) *node {
	if len(n.below[k]) == 0 {
		return nil
	}
	for len(n.below[k]) > 0 {
		n = n.below[k][0]
	}
	return n
}

// queue is a heap of nodes.
type queue []*node

func (q *queue) push(n *node, k kind) {
	*q = append(*q, n)
	n.at[k] = len(*q)
	q.up(len(*q)-1, k)
}

func (q *queue) remove(i int, k kind) {
	old := *q
	last := len(old) - 1
	old[i].at[k] = 0
	moved := old[last]
	old[last] = nil
	*q = old[:last]
	if i < last {
		(*q)[i] = moved
		moved.at[k] = i + 1
		q.fix(i, k)
	}
}

// fix moves what is at a place to where it belongs.
func (q *queue) fix(i int, k kind) {
	if !q.up(i, k) {
		q.down(i, k)
	}
}

func (q *queue) up(i int, k kind) (moved bool) {
	for h := *q; i > 0; moved = true {
		parent := (i - 1) / 2
		if h[i].key(k) >= h[parent].key(k) {
			break
		}
		h.swap(i, parent, k)
		i = parent
	}
	return moved
}

func (q *queue) down(i int, k kind) {
	for h := *q; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].key(k) < h[least].key(k) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least, k)
		i = least
	}
}

func (q queue) swap(i, j int, k kind) {
	q[i], q[j] = q[j], q[i]
	q[i].at[k], q[j].at[k] = i+1, j+1
}
