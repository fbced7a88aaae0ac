package votes

import "time"

// kind is what happens.
type kind uint8

const (
	ticks   kind = iota // a voter's ticker: it probes
	outcome             // of a probe
	due                 // a voter reports by its clock
	urgent              // a voter reports because its vote has changed
	arrives             // a report is with the route-quality server
	judges              // the server judges by its clock
	hastens             // the server judges because of news
)

// event is something that happens to a voter, or to the server.
type event struct {
	at   time.Duration
	kind kind
	who  uint8
	up   bool   // of outcome and arrives
	seq  uint64 // of arrives
}

// queue has what is to come, latest first. There are never many, and most that is added comes soon.
type queue []event

func (q *queue) add(e event) {
	*q = append(*q, e)
	list := *q
	for i := len(list) - 1; i > 0 && list[i-1].at <= e.at; i-- { // after those of the same time
		list[i], list[i-1] = list[i-1], list[i]
	}
}

func (q *queue) next() event {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}
