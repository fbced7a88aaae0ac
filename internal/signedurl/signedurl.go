// Package signedurl adds a parameter to a URL that says until when it is good and how often its bearer has been sent on, with a signature that
// nobody else can make.
//
// The parameter is the last of the query:
//
//	nearcast-sign=BASE64URL(hop (1 octet), unix seconds (7 octets), HMAC-SHA256 truncated to 128 bits)
//
// which are 32 characters that no normal form of a URL changes. The code is over the octets before it, the host, and path and query without
// the parameter, in the one normal form that whoever signs and whoever verifies use; not over the scheme. Without its code, in 11 characters,
// the parameter is a mark: it proves nothing, and says to a server that sends on what has been tried already.
//
// It is not for who may see a content: whoever has the URL may pass it on while it is good.
package signedurl

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// Name is the parameter's.
const Name = "nearcast-sign"

const prefix = Name + "="

// Lengths in octets.
const (
	wordsLength = 8
	codeLength  = 16
)

// Room is by how many octets [Sign] makes a URL longer at most.
const Room = 1 + len(prefix) + 32

// MaxHop is the highest hop that a URL can have.
const MaxHop = 255

// Ticket is what the parameter says.
type Ticket struct {
	// Hop is how often the bearer has been sent on, from 1 to [MaxHop]. Zero is a ticket that is none.
	Hop int
	// Expires is when it ends, in unix seconds; not negative.
	Expires int64
}

// words is what the code follows.
func (t Ticket) words() (w [wordsLength]byte) {
	binary.BigEndian.PutUint64(w[:], uint64(max(t.Expires, 0))&(1<<56-1)) //nolint:gosec // not negative
	w[0] = byte(min(max(t.Hop, 0), MaxHop))
	return w
}

// Fresh reports whether the ticket has not ended.
func (t Ticket) Fresh(now time.Time) bool { return t.Hop > 0 && now.Unix() <= t.Expires }

// Sign returns path and query with the signed parameter at its end. The key must not be empty.
func Sign(key []byte, host, pathAndQuery string, t Ticket) string {
	var raw [wordsLength + codeLength]byte
	words := t.words()
	copy(raw[:], words[:])
	code(raw[wordsLength:], key, words, host, pathAndQuery)
	var text [32]byte
	base64.RawURLEncoding.Encode(text[:], raw[:])
	return join(pathAndQuery, text[:])
}

// Mark returns path and query with the parameter without a code at its end.
func Mark(pathAndQuery string, t Ticket) string {
	words := t.words()
	var text [11]byte
	base64.RawURLEncoding.Encode(text[:], words[:])
	return join(pathAndQuery, text[:])
}

func join(pathAndQuery string, value []byte) string {
	separator := "?"
	if strings.IndexByte(pathAndQuery, '?') >= 0 {
		separator = "&"
	}
	return pathAndQuery + separator + prefix + string(value)
}

// code puts the code of a URL into dst.
func code(dst, key []byte, words [wordsLength]byte, host, pathAndQuery string) {
	mac := hmac.New(sha256.New, key)
	buf := make([]byte, 0, 512)
	buf = append(append(buf, "nearcast signed url\n"...), words[:]...)
	buf = append(append(buf, host...), '\n') // no host has a line end
	mac.Write(append(buf, pathAndQuery...))
	var sum [sha256.Size]byte
	copy(dst, mac.Sum(sum[:0]))
}

// Signature is what was found in a query.
type Signature struct {
	// Ticket is what it says, proven or not; zero if there is none that can be read, or more than one.
	Ticket Ticket
	// Found says that there is a parameter of the name, whatever it says.
	Found bool

	code   [codeLength]byte
	signed bool
}

// Cut takes every parameter of the name out of a query, and reports whether there is a query without it: of "/a?nearcast-sign=..." there is none,
// of "/a?&nearcast-sign=..." there is an empty one. It allocates nothing if the parameter is at the end, as [Sign] and [Mark] write it.
func Cut(query string, hasQuery bool) (rest string, hasRest bool, s Signature) {
	if !strings.Contains(query, Name) {
		return query, hasQuery, Signature{}
	}
	if front, last, several := cutLast(query); isOurs(last) && !strings.Contains(front, Name) {
		return front, several, read(last)
	}
	var left []string
	for part := range strings.SplitSeq(query, "&") {
		switch {
		case !isOurs(part):
			left = append(left, part)
		case s.Found:
			s = Signature{Found: true} // which of them counts nobody knows
		default:
			s = read(part)
		}
	}
	return strings.Join(left, "&"), hasQuery && len(left) > 0, s
}

func cutLast(query string) (front, last string, several bool) {
	i := strings.LastIndexByte(query, '&')
	if i < 0 {
		return "", query, false
	}
	return query[:i], query[i+1:], true
}

func isOurs(parameter string) bool {
	return parameter == Name || strings.HasPrefix(parameter, prefix)
}

// read reads a parameter of the name. Only the form that is written is one.
func read(parameter string) Signature {
	s := Signature{Found: true}
	value := strings.TrimPrefix(parameter, prefix)
	if len(value) != 32 && len(value) != 11 {
		return s
	}
	var raw [wordsLength + codeLength]byte
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(value))
	if err != nil {
		return s
	}
	hop := int(raw[0])
	raw[0] = 0
	s.Ticket = Ticket{Hop: hop, Expires: int64(binary.BigEndian.Uint64(raw[:wordsLength]))} //nolint:gosec // 56 bits
	if hop == 0 {
		s.Ticket = Ticket{}
	}
	s.signed = n == len(raw)
	copy(s.code[:], raw[wordsLength:])
	return s
}

// Proves reports whether the signature is genuine for a host, and path and query without it, whether it has ended or not. It takes the same
// time whatever the code is. Without a key nothing is genuine.
func (s *Signature) Proves(key []byte, host, pathAndQuery string) bool {
	if !s.signed || s.Ticket.Hop == 0 || len(key) == 0 {
		return false
	}
	var want [codeLength]byte
	code(want[:], key, s.Ticket.words(), host, pathAndQuery)
	return hmac.Equal(want[:], s.code[:])
}
