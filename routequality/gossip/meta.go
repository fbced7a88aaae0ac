package gossip

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
)

// maxMeta is the size in octets that a member may say about itself; the protocol
// would allow 512, but every member repeats it to every other.
const maxMeta = 128

const maxVersion = 32 // octets of a version that are told

// meta is what a member says about itself. On the wire it is six words with a
// space between:
//
//	"1" role state started version pop
//
// where started is Unix time in microseconds, base 36, and an empty word is "-".
// More words may follow, and the POP may be missing: it was not always told. A newer format starts with another number.
type meta struct {
	role  cdn.Role
	state cdn.NodeState
	// started is when the process started. It makes the meta of a restarted process
	// differ from the old one's, by which the protocol notices that the
	// restarted member must outbid what is still being said about its predecessor.
	started time.Time
	version string
	pop     cdn.POPName
}

func (m *meta) encode() []byte {
	before := strings.Join([]string{"1", word(string(m.role), 16), word(string(m.state), 16), strconv.FormatInt(m.started.UnixMicro(), 36), ""}, " ")
	after := " " + word(string(m.pop), 63)
	version := word(m.version, min(maxVersion, maxMeta-len(before)-len(after)))
	return []byte(before + version + after)
}

// word makes s one printable word of at most n octets.
func word(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), n)]
}

// unword is the inverse of word for the empty string.
func unword(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// parseMeta reads what another member says. A format or a state that it does not
// know is not an error: the member is alive, and the state is unknown, which
// counts as healthy.
func parseMeta(b []byte) (meta, error) {
	if len(b) > maxMeta {
		return meta{}, fmt.Errorf("meta has %d octets, at most %d are allowed", len(b), maxMeta)
	}
	words := strings.Split(string(b), " ")
	if words[0] != "1" {
		return meta{}, nil
	}
	if len(words) < 5 {
		return meta{}, fmt.Errorf("meta has %d words, want 5", len(words))
	}
	started, err := strconv.ParseInt(words[3], 36, 64)
	if err != nil {
		return meta{}, fmt.Errorf("start time %q is not a number", words[3])
	}
	return meta{
		role:    cdn.Role(unword(words[1])),
		state:   parseState(words[2]),
		started: time.UnixMicro(started),
		version: unword(words[4]),
		pop:     parsePOP(words[5:]),
	}, nil
}

// parsePOP returns the POP that the first word names; none if it is not a name.
func parsePOP(words []string) cdn.POPName {
	if len(words) == 0 {
		return ""
	}
	pop, err := cdn.ParsePOPName(unword(words[0]))
	if err != nil {
		return ""
	}
	return pop
}

// parseState refuses "down": a member that can say so is not.
func parseState(s string) cdn.NodeState {
	switch state := cdn.NodeState(s); state {
	case cdn.StateReady, cdn.StateStarting, cdn.StateDraining:
		return state
	default:
		return cdn.StateUnknown
	}
}
