package gossip

import (
	"errors"
	"reflect"

	"github.com/hashicorp/memberlist"
)

// anchor is a broadcast that is too long for any packet, so that it stays in the queue for ever.
//
// The protocol's queue numbers its messages from one again whenever it is empty, which it also is for a moment while its only message is replaced or
// sent. Then two messages of one length can have one number, and the later one takes the earlier one's place: news is lost without ever having been
// sent. In a small pool, whose members' names are of one length and whose queues are mostly empty, the news was a member's contradiction of its own
// death once in a few thousand accusations. A queue that is never empty never numbers anything twice.
type anchor struct{}

// anchorOctets is above the size of a packet.
const anchorOctets = 4096

// Message returns what is never sent.
func (anchor) Message() []byte { return make([]byte, anchorOctets) }

// Invalidates takes nobody's place.
func (anchor) Invalidates(memberlist.Broadcast) bool { return false }

// Finished is never called.
func (anchor) Finished() {}

// UniqueBroadcast says that the queue need not look for others like it.
func (anchor) UniqueBroadcast() {}

// drop puts an anchor into the protocol's queue.
func (a anchor) drop(list *memberlist.Memberlist) error {
	queue, err := broadcasts(list)
	if err != nil {
		return err
	}
	queue.QueueBroadcast(a)
	return nil
}

// broadcasts returns the protocol's queue, which it shows to nobody.
func broadcasts(list *memberlist.Memberlist) (*memberlist.TransmitLimitedQueue, error) {
	field := reflect.ValueOf(list).Elem().FieldByName("broadcasts")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*memberlist.TransmitLimitedQueue]() || field.IsNil() {
		return nil, errors.New("this version of memberlist keeps its broadcasts elsewhere: see whether its queue still numbers messages twice")
	}
	return (*memberlist.TransmitLimitedQueue)(field.UnsafePointer()), nil
}
