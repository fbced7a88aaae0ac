package signedurl_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"nearcast/internal/signedurl"
)

const host = "n1.www.shop.example.cdn.test"

var key = []byte("a key of the fleet's, for tests.")

func split(uri string) (path, query string, has bool) {
	path, query, has = strings.Cut(uri, "?")
	return path, query, has
}

// cut is Cut of a path and query.
func cut(uri string) (string, signedurl.Signature) {
	path, query, has := split(uri)
	rest, has, s := signedurl.Cut(query, has)
	if has {
		path += "?" + rest
	}
	return path, s
}

// What is signed comes back as it was, and proves itself for its host, path and query alone.
func TestSign(t *testing.T) {
	want := signedurl.Ticket{Hop: 2, Expires: 1_800_000_000}
	for _, uri := range []string{"/", "/?", "/a?b", "/a?b=c&d", "/a?&", "/a?x=nearcast-sign", "/a?nearcast-signs=1", "//a/%2F?%26"} {
		signed := signedurl.Sign(key, host, uri, want)
		if len(signed) > len(uri)+signedurl.Room {
			t.Errorf("%q is %d octets longer, more than Room", signed, len(signed)-len(uri))
		}
		rest, s := cut(signed)
		if rest != uri || !s.Found || s.Ticket != want {
			t.Fatalf("%q came back as %q with %+v", signed, rest, s.Ticket)
		}
		if !s.Proves(key, host, uri) {
			t.Errorf("%q is not genuine", signed)
		}
		if s.Proves(key, "n2.www.shop.example.cdn.test", uri) || s.Proves(key, host, uri+"x") || s.Proves(key[1:], host, uri) || s.Proves(nil, host, uri) {
			t.Errorf("%q is genuine for another host, URL or key", signed)
		}
		marked, m := cut(signedurl.Mark(uri, want))
		if marked != uri || m.Ticket != want || m.Proves(key, host, uri) {
			t.Errorf("a mark of %q came back as %q with %+v, or proves something", uri, marked, m.Ticket)
		}
	}
}

// The code is an HMAC as others compute it, cut to 128 bits.
func TestCode(t *testing.T) {
	signed := signedurl.Sign(key, host, "/a?b", signedurl.Ticket{Hop: 1, Expires: 0x0102030405})
	mac := hmac.New(sha256.New, key)
	words := "\x01\x00\x00\x01\x02\x03\x04\x05"
	mac.Write([]byte("nearcast signed url\n" + words + host + "\n/a?b"))
	want := "/a?b&nearcast-sign=" + base64.RawURLEncoding.EncodeToString(append([]byte(words), mac.Sum(nil)[:16]...))
	if signed != want {
		t.Errorf("got %q, want %q", signed, want)
	}
}

// Whatever is changed makes it invalid.
func TestForged(t *testing.T) {
	signed := signedurl.Sign(key, host, "/a?b", signedurl.Ticket{Hop: 1, Expires: 1_800_000_000})
	at := strings.Index(signed, "=") + 1
	for i := at; i < len(signed); i++ {
		for _, c := range "AQgw" {
			forged := signed[:i] + string(c) + signed[i+1:]
			if rest, s := cut(forged); forged != signed && s.Proves(key, host, rest) {
				t.Errorf("%q is genuine", forged)
			}
		}
	}
	for _, test := range []struct{ uri, rest string }{
		{"/a?nearcast-sign", "/a"},
		{"/a?nearcast-sign=", "/a"},
		{"/a?nearcast-sign=AAAA&b", "/a?b"},
		{"/a?b&nearcast-sign=" + strings.Repeat("A", 32), "/a?b"},
		{"/a?b&nearcast-sign=" + strings.Repeat("A", 11), "/a?b"},
		{"/a?b&nearcast-sign=" + strings.Repeat("!", 32), "/a?b"},
		{"/a?b&nearcast-sign=" + strings.Repeat("A", 5000), "/a?b"},
		{signed + "&" + signed[strings.Index(signed, "nearcast"):], "/a?b"},
	} {
		rest, s := cut(test.uri)
		if rest != test.rest || !s.Found || s.Ticket != (signedurl.Ticket{}) || s.Proves(key, host, rest) {
			t.Errorf("%q: rest %q, %+v", test.uri, rest, s)
		}
	}
}

// A parameter in the middle counts as at the end.
func TestMiddle(t *testing.T) {
	signed := signedurl.Sign(key, host, "/a?b&c", signedurl.Ticket{Hop: 1, Expires: 1})
	parameter := signed[strings.Index(signed, "nearcast"):]
	rest, s := cut("/a?b&" + parameter + "&c")
	if rest != "/a?b&c" || !s.Proves(key, host, rest) {
		t.Errorf("rest %q, %+v", rest, s)
	}
}

func TestFresh(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	ticket := signedurl.Ticket{Hop: 1, Expires: end.Unix()}
	if !ticket.Fresh(end) || ticket.Fresh(end.Add(time.Second)) || (signedurl.Ticket{Expires: end.Unix()}).Fresh(end) {
		t.Error("a ticket does not end at its end, or one that is none is good")
	}
}

func FuzzCut(f *testing.F) {
	f.Add("b=c", true)
	f.Add("nearcast-sign=AQAAAAAAAAE", true)
	f.Add(signedurl.Sign(key, host, "/a?b", signedurl.Ticket{Hop: 3, Expires: 77})[3:], true)
	f.Add("&&nearcast-sign&nearcast-sign=x&", true)
	f.Fuzz(func(t *testing.T, query string, has bool) {
		has = has || query != ""
		rest, hasRest, s := signedurl.Cut(query, has)
		if again, hasAgain, none := signedurl.Cut(rest, hasRest); again != rest || hasAgain != hasRest || none.Found {
			t.Fatalf("%q still has a parameter: %q", rest, again)
		}
		if !s.Found && (rest != query || hasRest != has) {
			t.Fatalf("%q became %q without a parameter", query, rest)
		}
		uri := "/"
		if hasRest {
			uri += "?" + rest
		}
		s.Proves(key, host, uri)
		ticket := signedurl.Ticket{Hop: 1 + len(query)%255, Expires: int64(len(query))}
		back, signed := cut(signedurl.Sign(key, host, uri, ticket))
		if back != uri || signed.Ticket != ticket || !signed.Proves(key, host, uri) {
			t.Fatalf("%q came back as %q, %+v", uri, back, signed)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		signedurl.Sign(key, host, "/videos/a/b/c/segment-00001.ts?session=12345678", signedurl.Ticket{Hop: 1, Expires: 1_800_000_000})
	}
}

func BenchmarkProves(b *testing.B) {
	signed := signedurl.Sign(key, host, "/videos/a/b/c/segment-00001.ts?session=12345678", signedurl.Ticket{Hop: 1, Expires: 1_800_000_000})
	path, query, _ := split(signed)
	b.ReportAllocs()
	for b.Loop() {
		rest, _, s := signedurl.Cut(query, true)
		if !s.Proves(key, host, path+"?"+rest) {
			b.Fatal("not genuine")
		}
	}
}
