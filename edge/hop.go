package edge

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
)

// The fields that nodes exchange with each other. They never reach a visitor or an
// origin, and from a stranger they are dropped.
const (
	hopField   = "Nearcast-Hop"   // on requests: proof of the asking node
	errorField = "Nearcast-Error" // on responses: the node could not reach the origin; the kind of error
)

// hopValidity is how far a hop's time may be off, either way: the clocks' difference
// and the time on the way. It bounds how long a stolen hop is of use.
const hopValidity = time.Minute

// hop is what one node tells the next about a request:
//
//	Nearcast-Hop: <node> <unix seconds> <purge revision> <scheme> <country> <HMAC-SHA256 in hex>
//
// The country is the visitor's, "-" if it is unknown: nodes need not have the same database of addresses at every moment,
// but what one of them stores for a country must be what the next one took it for. Nodes that are older than this say none.
//
// The code covers the words before it and, so that it fits one request only, the target's URL
// and the visitor's address. Its zero value is a request that no node sent.
type hop struct {
	node     cdn.NodeName
	at       time.Time
	revision cdn.Revision
	scheme   string // of the visitor's request
	country  string // "-" if unknown, empty if not said
}

// words is the part of the field before the code.
func (h hop) words() string {
	words := string(h.node) + " " + strconv.FormatInt(h.at.Unix(), 10) + " " +
		strconv.FormatUint(uint64(h.revision), 10) + " " + h.scheme
	if h.country != "" {
		words += " " + h.country
	}
	return words
}

// countryWord returns the word for a country, which may be unknown.
func countryWord(country string) string {
	return cmp.Or(country, unknownCountry)
}

const unknownCountry = "-"

// placed returns the visitor's country as the asking node has it, empty if unknown, and whether it has said so.
func (h hop) placed() (country string, ok bool) {
	if h.country == unknownCountry {
		return "", true
	}
	return h.country, h.country != ""
}

// sign returns the field's value.
func (h hop) sign(secret, url, client string) string {
	return h.words() + " " + hopCode(secret, h.words(), url, client)
}

func hopCode(secret, words, url, client string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("nearcast hop\n" + words + "\n" + url + "\n" + client))
	return hex.EncodeToString(mac.Sum(nil))
}

// parseHop parses the words of a field's value; the code is still to be verified.
func parseHop(field string) (h hop, words, code string, ok bool) {
	parts := strings.Split(field, " ")
	last := len(parts) - 1
	if last != 4 && last != 5 {
		return hop{}, "", "", false
	}
	node, err := cdn.ParseNodeName(parts[0])
	if err != nil {
		return hop{}, "", "", false
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return hop{}, "", "", false
	}
	rev, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil || (parts[3] != "http" && parts[3] != "https") {
		return hop{}, "", "", false
	}
	h = hop{node: node, at: time.Unix(at, 0), revision: cdn.Revision(rev), scheme: parts[3]}
	if last == 5 {
		h.country = parts[4]
	}
	return h, strings.Join(parts[:last], " "), parts[last], true
}

// verifyHop returns the hop of a request for url on behalf of client, and whether it
// is genuine. url depends on the scheme in the hop, so that it is a function of it.
func verifyHop(now time.Time, secret, field, client string, url func(scheme string) string) (hop, bool) {
	if secret == "" || field == "" {
		return hop{}, false
	}
	h, words, code, ok := parseHop(field)
	if !ok || now.Sub(h.at).Abs() > hopValidity {
		return hop{}, false
	}
	want := hopCode(secret, words, url(h.scheme), client)
	return h, hmac.Equal([]byte(code), []byte(want))
}
