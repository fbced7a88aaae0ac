package cookie

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/dchest/siphash"
)

// Size is how many octets a cookie has that is sent to a client: its own 8, and the server's 16.
const Size = 24

// ClientSize is how many octets of it are the client's. A COOKIE option that is no longer has none of a server.
const ClientSize = 8

const (
	version = 1 // and three octets that are reserved
	day     = 24 * 60 * 60

	oldest  = 60 * 60 // a cookie that is older, in seconds, is not valid (RFC 9018 section 4.3)
	newest  = 5 * 60  // nor is one made so much later than now
	renewal = 30 * 60 // what is older is valid, and replaced
)

// Jar makes and checks cookies. Its methods may be called by many at once.
type Jar struct {
	secrets [][]byte
	keys    atomic.Pointer[schedule]
}

// schedule has the keys of the days around one.
type schedule struct {
	first int64    // the day, since 1970, whose keys come first
	days  [3][]key // for each day, the key of each secret
}

// key is the two halves of a key of SipHash.
type key [2]uint64

// New returns a jar of the fleet's secret, at least 16 octets of it. Cookies made with one of the others, such as the secret of before, are valid, too, and replaced.
func New(secret []byte, others ...[]byte) *Jar {
	return &Jar{secrets: append([][]byte{secret}, others...)}
}

// Check reports whether a cookie option is one that the client was sent lately, and appends to dst the cookie to send
// to it, of [Size] octets. The option is what a query had: the client's 8 octets, and what it has of a server, if
// anything. An option whose length is wrong (RFC 7873 section 5.2.2: FORMERR) is not valid and gets nothing. The time
// is in seconds since 1970.
func (j *Jar) Check(dst []byte, client netip.Addr, option []byte, now int64) (cookie []byte, valid bool) {
	if len(option) != ClientSize && (len(option) < 2*ClientSize || len(option) > 5*ClientSize) {
		return dst, false
	}
	fresh := false
	if len(option) == Size && option[ClientSize] == version {
		valid, fresh = j.check(client, option, now)
	}
	if fresh {
		return append(dst, option...), true
	}
	at := len(dst)
	dst = append(dst, option[:ClientSize]...)
	dst = append(dst, version, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(now)) //nolint:gosec // serial numbers, RFC 9018 section 4.3
	h := hash(j.of(now, now)[0], client, dst[at:])
	return binary.LittleEndian.AppendUint64(dst, h), valid
}

// check checks a cookie of the right form. It is fresh if it is good for longer than half of its life.
func (j *Jar) check(client netip.Addr, cookie []byte, now int64) (valid, fresh bool) {
	age := int64(int32(uint32(now) - binary.BigEndian.Uint32(cookie[ClientSize+4:]))) //nolint:gosec // serial numbers
	if age > oldest || age < -newest {
		return false, false
	}
	for i, k := range j.of(now-age, now) {
		var want [8]byte
		binary.LittleEndian.PutUint64(want[:], hash(k, client, cookie))
		if subtle.ConstantTimeCompare(want[:], cookie[Size-8:]) == 1 {
			return true, i == 0 && age <= renewal
		}
	}
	return false, false
}

// of returns the keys of the day of a time that is close to now, one for each secret.
func (j *Jar) of(at, now int64) []key {
	s, d := j.keys.Load(), floorDay(at)
	if s == nil || d < s.first || d >= s.first+int64(len(s.days)) {
		s = j.schedule(floorDay(now) - 1)
		j.keys.Store(s)
	}
	return s.days[d-s.first]
}

func (j *Jar) schedule(first int64) *schedule {
	s := &schedule{first: first}
	for i := range s.days {
		for _, secret := range j.secrets {
			s.days[i] = append(s.days[i], derive(secret, first+int64(i)))
		}
	}
	return s
}

// derive returns the key of a day.
func derive(secret []byte, d int64) key {
	b, err := hkdf.Key(sha256.New, secret, nil, "nearcast/dns-cookie/"+strconv.FormatInt(d, 10), 16)
	if err != nil {
		panic("deriving a key: " + err.Error()) // only for lengths that are not asked for
	}
	return keyOf(b)
}

func keyOf(b []byte) key {
	return key{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// floorDay is the day of a time, also of one before 1970.
func floorDay(at int64) int64 {
	d := at / day
	if at%day < 0 {
		d--
	}
	return d
}

// hash is that of a server's cookie (RFC 9018 section 4.4): of the client's, version, reserved octets and time, which cookie begins with, and the address.
func hash(k key, client netip.Addr, cookie []byte) uint64 {
	var b [32]byte
	n := copy(b[:], cookie[:2*ClientSize])
	if client.Is4() || client.Is4In6() {
		a := client.As4()
		n += copy(b[n:], a[:])
	} else {
		a := client.As16()
		n += copy(b[n:], a[:])
	}
	return siphash.Hash(k[0], k[1], b[:n])
}
