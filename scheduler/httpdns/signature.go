package httpdns

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAhead is how far ahead the end of a request may be.
const maxAhead = 10 * time.Minute

// Canonical is what is signed of the parameters of a request: each but sign as "name=value", without percent-encoding, in the order of their octets, a
// line feed between two. Of
//
//	/resolve?t=1800000000&host=www.shop.example&id=app-1&ip=192.0.2.1
//
// that is "host=www.shop.example\nid=app-1\nip=192.0.2.1\nt=1800000000".
func Canonical(parameters map[string][]string) string {
	var all []parameter
	for name, values := range parameters {
		for _, v := range values {
			all = append(all, parameter{name, v})
		}
	}
	return canonical(all)
}

func canonical(all []parameter) string {
	var lines []string
	for _, p := range all {
		if p.name != "sign" {
			lines = append(lines, p.name+"="+p.value)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Sign returns the signature of parameters with a key.
func Sign(key []byte, parameters map[string][]string) string {
	return hex.EncodeToString(code(key, Canonical(parameters)))
}

func code(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Reasons to refuse a request. Who has no key learns nothing of which part is wrong.
const (
	unsigned = "the request is not signed with a key that is known here: see id, t and sign in the documentation of HTTPDNS"
	outdated = "the time t of the request is past, or more than 10 minutes ahead; the clocks may differ"
)

// verify returns why a request is refused, or "". It takes the same time for every ID and signature of the same lengths.
func verify(keys map[string][]byte, all []parameter, now time.Time) string {
	if len(keys) == 0 {
		return ""
	}
	var id, until, sign string
	for _, p := range all {
		switch p.name {
		case "id":
			id = p.value
		case "t":
			until = p.value
		case "sign":
			sign = p.value
		}
	}
	key, known := keys[id]
	if !known {
		key = make([]byte, sha256.Size) // so that it takes as long
	}
	got, err := hex.DecodeString(sign)
	right := hmac.Equal(got, code(key, canonical(all)))
	end, notTime := strconv.ParseInt(until, 10, 64)
	switch {
	case !known || err != nil || !right || notTime != nil:
		return unsigned
	case end < now.Unix() || end > now.Add(maxAhead).Unix():
		return outdated
	}
	return ""
}
