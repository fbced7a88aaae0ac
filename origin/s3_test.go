package origin_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/origin"
)

const (
	testKeyID  = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// bucket is an S3 server of our own: it verifies signatures by the published
// algorithm, from what came over the wire, and knows a few objects by their key.
type bucket struct {
	objects map[string]string         // by "host bucket/key" or "bucket/key"
	asked   chan *http.Request        // gets each request
	answer  func(http.ResponseWriter) // in place of an object; nil: none
	public  bool                      // requests must be unsigned
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked <- r
	switch fault := b.verify(r); {
	case fault != "":
		b.fail(w, http.StatusForbidden, fault)
		return
	case b.answer != nil:
		b.answer(w)
		return
	}
	body, ok := b.objects[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		b.fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("ETag", `"e"`)
	w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
	w.Header().Set("X-Amz-Id-2", "secret")
	w.Header().Set("X-Amz-Storage-Class", "GLACIER")
	w.Header().Set("X-Amz-Meta-Colour", "blue")
	w.Header().Set("X-Oss-Request-Id", "5C1B")
	if r.Header.Get("Range") == "bytes=0-1" {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-1/%d", len(body)))
		w.WriteHeader(http.StatusPartialContent)
		body = body[:2]
	} else if r.Header.Get("If-None-Match") == `"e"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, body)
}

func (b *bucket) fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><BucketName>vault</BucketName></Error>", code)
}

// verify returns what is wrong with a request's signature, or "". It follows
// "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
func (b *bucket) verify(r *http.Request) string {
	auth := r.Header.Get("Authorization")
	if b.public {
		if auth != "" {
			return "Unexpected"
		}
		return ""
	}
	rest, ok := strings.CutPrefix(auth, "AWS4-HMAC-SHA256 ")
	if !ok {
		return "AccessDenied"
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	scope, ok := strings.CutPrefix(fields["Credential"], testKeyID+"/")
	if !ok {
		return "InvalidAccessKeyId"
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	if !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date") || !slices.Contains(signed, "x-amz-content-sha256") {
		return "NotEnoughSigned"
	}
	if canonicalPath(r.URL.Path) != r.RequestURI {
		return "PathNotCanonical"
	}
	canonical := r.Method + "\n" + r.RequestURI + "\n\n"
	for _, name := range signed {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + fields["SignedHeaders"] + "\n" + r.Header.Get("X-Amz-Content-Sha256")
	sum := sha256.Sum256([]byte(canonical))
	toSign := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + testSecret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	if hex.EncodeToString(mac(key, toSign)) != fields["Signature"] {
		return "SignatureDoesNotMatch"
	}
	return ""
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalPath encodes every octet but the unreserved ones and "/".
func canonicalPath(path string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
	var b strings.Builder
	for i := range len(path) {
		if strings.IndexByte(plain, path[i]) >= 0 {
			b.WriteByte(path[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", path[i])
		}
	}
	return b.String()
}

// startBucket serves b and returns the site's side of it.
func startBucket(t *testing.T, b *bucket) *cdn.Origin {
	t.Helper()
	b.asked = make(chan *http.Request, 10)
	private := cdn.Bucket{Name: "vault", AccessKeyID: testKeyID, SecretAccessKey: testSecret}
	if b.public {
		private.AccessKeyID, private.SecretAccessKey = "", ""
	}
	return &cdn.Origin{Type: cdn.OriginS3, URLs: []string{serve(t, b.ServeHTTP)}, Bucket: &private}
}

// TestKeys: which object a URL's path names, with a signature that a real bucket
// accepts. An empty key means that the bucket must not be asked at all.
func TestKeys(t *testing.T) {
	for _, tt := range []struct{ name, prefix, uri, key string }{
		{"plain", "", "/a/b.css", "a/b.css"},
		{"prefix", "assets", "/a.css", "assets/a.css"},
		{"slashed", "assets/v1/", "/a.css", "assets/v1/a.css"},
		{"space", "", "/a%20b", "a b"},
		{"plus", "", "/a+b", "a+b"},
		{"escaped", "", "/a%2Bb", "a+b"},
		{"percent", "", "/100%25", "100%"},
		{"double", "", "/a%252Fb", "a%2Fb"},
		{"unicode", "", "/%C3%A9/%E6%97%A5%E6%9C%AC", "é/日本"},
		{"reserved", "", "/!$&'()*,;=:@", "!$&'()*,;=:@"},
		{"question", "", "/a%3Facl", "a?acl"},
		{"hash", "", "/a%23b", "a#b"},
		{"slash", "", "/a%2Fb", "a/b"},
		{"double-slash", "", "/a//b", "a//b"},
		{"trailing", "", "/a/", "a/"},
		{"tilde", "", "/~a-b_c.d", "~a-b_c.d"},
		{"query", "", "/a.css?acl", "a.css"},
		{"policy", "", "/a.css?policy&X-Amz-Signature=1", "a.css"},
		{"root", "", "/", ""},
		{"listing", "assets", "/?list-type=2", ""},
		{"slashes", "", "///", ""},
		{"climb", "assets", "/..%2Fother", ""},
		{"climbing", "assets", "/a%2F..%2F..%2Fother", ""},
		{"dot", "", "/a%2F.%2Fb", ""},
		{"nul", "", "/a%00b", ""},
		{"latin", "", "/%E9", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bucket{objects: map[string]string{"vault/" + tt.key: "hello"}}
			o := startBucket(t, b)
			o.Bucket.Prefix = tt.prefix
			status, body, err := get(t, newClient(t, origin.Config{}), o, "http://www.shop.example"+tt.uri)
			if err != nil {
				t.Fatal(err)
			}
			if tt.key == "" {
				if status != http.StatusNotFound || len(b.asked) != 0 {
					t.Errorf("status %d, the bucket was asked %d times; want 404 without asking", status, len(b.asked))
				}
				return
			}
			r := <-b.asked
			if status != http.StatusOK || body != "hello" {
				t.Errorf("the bucket was asked for %s and the answer was %d %q", r.RequestURI, status, body)
			}
			if r.URL.RawQuery != "" {
				t.Errorf("the bucket got the query %q", r.URL.RawQuery)
			}
		})
	}
}

func TestVirtualHost(t *testing.T) {
	b := &bucket{objects: map[string]string{"a.css": "hello"}}
	o := startBucket(t, b)
	endpoint, err := url.Parse(o.URLs[0])
	if err != nil {
		t.Fatal(err)
	}
	o.URLs = []string{"http://oss.test:9000"}
	o.Bucket.VirtualHost = true
	c := newClient(t, origin.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "vault.oss.test:9000" {
			t.Errorf("dialled %s, want the bucket's own name", address)
		}
		return new(net.Dialer).DialContext(ctx, network, endpoint.Host)
	}})
	status, body, err := get(t, c, o, "http://www.shop.example/a.css")
	if status != http.StatusOK || body != "hello" || err != nil {
		t.Errorf("status %d, body %q, error %v", status, body, err)
	}
	if r := <-b.asked; r.Host != "vault.oss.test:9000" || r.RequestURI != "/a.css" {
		t.Errorf("asked %s for %s", r.Host, r.RequestURI)
	}
}

// TestBucketRequest: of the visitor's fields only those reach the bucket that
// select what to send.
func TestBucketRequest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		public bool
		signed []string
	}{
		{"private", false, []string{"Authorization", "X-Amz-Content-Sha256", "X-Amz-Date"}},
		{"public", true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bucket{objects: map[string]string{"vault/a": "hello"}, public: tt.public}
			req := request(t, http.MethodGet, "http://www.shop.example/a", nil)
			req.Header = http.Header{
				"Authorization": {"Bearer visitor"}, "Cookie": {"id=1"}, "X-Amz-Acl": {"public-read"}, "User-Agent": {"curl"},
				"Range": {"bytes=0-1"}, "If-Range": {`"e"`}, "If-Match": {`"e"`}, "X-Forwarded-For": {"192.0.2.1"},
			}
			resp, err := newClient(t, origin.Config{}).Fetch(t.Context(), startBucket(t, b), req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != "bytes 0-1/5" {
				t.Errorf("status %d, Content-Range %q", resp.StatusCode, resp.Header.Get("Content-Range"))
			}
			if resp.Request != req {
				t.Error("the response leads to the signed request")
			}
			got := slices.Sorted(maps.Keys((<-b.asked).Header))
			want := slices.Sorted(slices.Values(append([]string{"If-Match", "If-Range", "Range", "User-Agent"}, tt.signed...)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields at the bucket (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBucketResponse(t *testing.T) {
	b := &bucket{objects: map[string]string{"vault/a": "hello"}}
	o := startBucket(t, b)
	c := newClient(t, origin.Config{})
	for _, tt := range []struct {
		name, validator string
		status          int
	}{
		{"found", "", http.StatusOK},
		{"unchanged", `"e"`, http.StatusNotModified},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, http.MethodGet, "http://www.shop.example/a", nil)
			if tt.validator != "" {
				req.Header.Set("If-None-Match", tt.validator)
			}
			resp, err := c.Fetch(t.Context(), o, req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.status || resp.Header.Get("Etag") != `"e"` || resp.Header.Get("X-Amz-Meta-Colour") != "blue" {
				t.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
			}
			for _, name := range []string{"X-Amz-Request-Id", "X-Amz-Id-2", "X-Amz-Storage-Class", "X-Oss-Request-Id"} {
				if resp.Header.Get(name) != "" {
					t.Errorf("%s came through", name)
				}
			}
		})
	}
}

// TestBucketErrors: the status passes, what it says about the bucket does not.
func TestBucketErrors(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		answer       func(http.ResponseWriter)
		status       int // zero: an error of kind unavailable
		body         string
		header       http.Header // fields that must be there
	}{
		{name: "missing", status: 404, body: "404 Not Found\n"},
		{name: "head", method: http.MethodHead, status: 404},
		{name: "post", method: http.MethodPost, status: 405, body: "405 Method Not Allowed\n", header: http.Header{"Allow": {"GET, HEAD"}}},
		{name: "delete", method: http.MethodDelete, status: 405, body: "405 Method Not Allowed\n"},
		{name: "busy", status: 503, body: "503 Service Unavailable\n", header: http.Header{"Retry-After": {"7"}}, answer: func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "7")
			text(503, "<Error><Code>SlowDown</Code></Error>")(w, nil)
		}},
		{name: "range", status: 416, body: "416 Requested Range Not Satisfiable\n", header: http.Header{"Content-Range": {"bytes */5"}}, answer: func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes */5")
			text(416, "<Error><Code>InvalidRange</Code></Error>")(w, nil)
		}},
		{name: "moved", answer: func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://other.example/")
			text(307, "<Error><Endpoint>other.example</Endpoint></Error>")(w, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			o := startBucket(t, &bucket{answer: tt.answer})
			resp, err := newClient(t, origin.Config{}).Fetch(t.Context(), o, request(t, method, "http://www.shop.example/none", nil))
			if tt.status == 0 {
				if cdn.KindOf(err) != cdn.Unavailable {
					t.Errorf("error %v, want one of kind unavailable", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || string(body) != tt.body || err != nil {
				t.Errorf("status %d, body %q, error %v; want %d %q", resp.StatusCode, body, err, tt.status, tt.body)
			}
			if got := resp.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" || resp.Header.Get("X-Amz-Request-Id") != "" {
				t.Errorf("header %v", resp.Header)
			}
			for name := range tt.header {
				if diff := cmp.Diff(tt.header[name], resp.Header[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestWrongSecret: a refused signature is a status, and does not name the key.
func TestWrongSecret(t *testing.T) {
	registry := prometheus.NewRegistry()
	o := startBucket(t, &bucket{objects: map[string]string{"vault/a": "hello"}})
	o.Bucket.SecretAccessKey = "guess"
	status, body, err := get(t, newClient(t, origin.Config{Registry: registry}), o, "http://www.shop.example/a")
	if status != http.StatusForbidden || body != "403 Forbidden\n" || err != nil {
		t.Errorf("status %d, body %q, error %v; want a bare 403", status, body, err)
	}
	wantMetric(t, registry, "nearcast_origin_requests_total", `nearcast_origin_requests_total{result="4xx",type="s3"} 1`+"\n")
}
