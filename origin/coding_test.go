package origin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"nearcast/cdn"
	"nearcast/origin"
)

func TestUploadCodingIsNoContentCoding(t *testing.T) {
	for sent, want := range map[string]string{
		"aws-chunked": "", "aws-chunked,gzip": "gzip", "AWS-Chunked, br": "br", "gzip": "gzip", "": "",
	} {
		bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if sent != "" {
				w.Header().Set("Content-Encoding", sent)
			}
		}))
		client := origin.New(origin.Config{})
		o := &cdn.Origin{Type: cdn.OriginS3, URLs: []string{bucket.URL}, Bucket: &cdn.Bucket{Name: "content"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://www.shop.example/a", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Fetch(t.Context(), o, req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Content-Encoding"); got != want {
			t.Errorf("the bucket says %q: passed on as %q, want %q", sent, got, want)
		}
		client.Close()
		bucket.Close()
	}
}
