// Package onbehalf lets a server that relays requests prove to the next one for whom it does: the address of whoever asked it, and whether that was
// over TLS.
//
//	Nearcast-Hop: front <unix seconds> <scheme> <HMAC-SHA256 in hex>
//
// The code covers the words before it and, so that it fits one request only, the method, the URL and the address.
//
// It is not for what nodes tell each other, which shares the field's name and not its form.
package onbehalf

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Field is the name of the field, in canonical form.
const Field = "Nearcast-Hop"

const (
	word     = "front"
	validity = time.Minute // of the words, either way: the clocks' difference
)

// Sign returns the field's value. The scheme is "http" or "https"; the url is the one that [Verify] makes of it; client is the address in text.
func Sign(secret string, at time.Time, method, scheme, url, client string) string {
	words := word + " " + strconv.FormatInt(at.Unix(), 10) + " " + scheme
	return words + " " + code(secret, words, method, url, client)
}

func code(secret, words, method, url, client string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("nearcast on behalf\n" + words + "\n" + method + "\n" + url + "\n" + client))
	return hex.EncodeToString(mac.Sum(nil))
}

// Verify returns the scheme of the client's request, and whether the field is genuine: made with the secret within a minute, for the method, the client and the
// url, which depends on the scheme. Without a secret nothing is.
func Verify(now time.Time, secret, field, method, client string, url func(scheme string) string) (scheme string, ok bool) {
	if secret == "" || !strings.HasPrefix(field, word+" ") || len(field) > 256 {
		return "", false
	}
	parts := strings.Split(field, " ")
	if len(parts) != 4 || parts[2] != "http" && parts[2] != "https" {
		return "", false
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > validity {
		return "", false
	}
	scheme = parts[2]
	words := field[:strings.LastIndexByte(field, ' ')]
	return scheme, hmac.Equal([]byte(parts[3]), []byte(code(secret, words, method, url(scheme), client)))
}
