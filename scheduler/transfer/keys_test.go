package transfer_test

import (
	"strings"
	"testing"

	"nearcast/scheduler/transfer"
)

func TestParseKeys(t *testing.T) {
	for _, test := range []struct{ name, text, problem string }{
		{"columns", "a.test hmac-sha256", "line 1: want NAME ALGORITHM BASE64, got 2 columns"},
		{"name", "# x\n\na_.test.. hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZg==", "line 3: the name of a key"},
		{"sha1", "a.test hmac-sha1 MDEyMzQ1Njc4OWFiY2RlZg==", "line 1: key a.test: want hmac-sha256, hmac-sha384 or hmac-sha512"},
		{"md5", "a.test hmac-md5.sig-alg.reg.int. MDEyMzQ1Njc4OWFiY2RlZg==", "line 1: key a.test: want hmac-sha256"},
		{"base64", "a.test hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZg", "line 1: key a.test: the secret is not base64"},
		{"short", "a.test hmac-sha256 MDEyMzQ1Njc4OWFiY2Rl", "line 1: key a.test: the secret has 15 octets"},
		{"twice", "a.test hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZg==\nA.test. hmac-sha512 MDEyMzQ1Njc4OWFiY2RlZg==", "line 2: there is a key a.test already"},
	} {
		_, err := transfer.ParseKeys(test.text)
		if err == nil || !strings.Contains(err.Error(), test.problem) || strings.Contains(err.Error(), "MDEy") {
			t.Errorf("%s: got %v, want %q and nothing of the secret", test.name, err, test.problem)
		}
	}
	k := keys(t)
	if len(k) != 3 || k["other.test"].Algorithm != "hmac-sha512" || string(k["other.test"].Secret) != "fedcba9876543210fedcba9876543210" {
		t.Errorf("got %v", k)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(keysText)
	f.Add("a.test hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZg==")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := transfer.ParseKeys(text)
		if err != nil && k != nil {
			t.Error("an error, and keys")
		}
		for name, key := range k {
			if name == "" || len(key.Secret) < 16 || !strings.HasPrefix(key.Algorithm, "hmac-sha") {
				t.Errorf("%q: %v", name, key)
			}
		}
	})
}
