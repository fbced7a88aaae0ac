package origin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"

	"nearcast/cdn"
)

// emptySHA256 is the hash of no body at all, which is what GET and HEAD have.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// defaultRegion is what an empty region in [cdn.Bucket] means.
const defaultRegion = "us-east-1"

// fetchBucket gets an object. Only that: whatever else the bucket's API offers
// (listings, policies, writes) is out of a visitor's reach, because the method is
// GET or HEAD, the query is not forwarded and the key is never empty.
func (c *Client) fetchBucket(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error) {
	body := holdBody(req)
	defer body.release() // no object is ever sent
	if o.Bucket == nil || o.Bucket.Name == "" {
		return nil, cdn.Errorf(cdn.Invalid, "", "the origin is of type s3 but names no bucket")
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		resp := plain(req.Method, http.StatusMethodNotAllowed, nil)
		resp.Header.Set("Allow", "GET, HEAD")
		return resp, nil
	}
	key, ok := objectKey(o.Bucket, req.URL.Path)
	if !ok {
		return plain(req.Method, http.StatusNotFound, nil), nil
	}
	resp, err := c.do(ctx, exchange{
		origin: o,
		method: req.Method,
		build: func(address *url.URL) *http.Request {
			return bucketRequest(o.Bucket, req, address, key)
		},
	})
	if err != nil {
		return nil, err
	}
	return cleanResponse(req.Method, resp)
}

// objectKey returns the key of the object that a decoded path names, or false if
// no object can have it. An empty key would be a listing of the bucket. "." and
// ".." come from "%2F..", which URL normalisation rightly leaves alone (RFC 3986
// section 2.2): a gateway in front of a file system would walk up with it.
func objectKey(b *cdn.Bucket, path string) (string, bool) {
	key := strings.TrimPrefix(path, "/")
	if strings.Trim(key, "/") == "" || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return "", false
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	if prefix := strings.TrimSuffix(b.Prefix, "/"); prefix != "" {
		key = prefix + "/" + key
	}
	return key, true
}

// bucketRequest returns the request for an object, signed if the bucket is private.
func bucketRequest(b *cdn.Bucket, visitor *http.Request, address *url.URL, key string) *http.Request {
	path := "/" + key
	if !b.VirtualHost {
		path = "/" + b.Name + path
	}
	out := &http.Request{
		Method: visitor.Method,
		// The signature covers s3utils.EncodePath of the path, so that is what must go
		// out: net/url alone would leave "+" and others as they are.
		URL:        &url.URL{Scheme: address.Scheme, Host: address.Host, Path: path, RawPath: s3utils.EncodePath(path)},
		Host:       address.Host,
		Header:     http.Header{"User-Agent": {"nearcast"}},
		ProtoMajor: 1, ProtoMinor: 1,
	}
	if b.AccessKeyID != "" && b.SecretAccessKey != "" {
		region := b.Region
		if region == "" {
			region = defaultRegion
		}
		out.Header.Set("X-Amz-Content-Sha256", emptySHA256)
		out = signer.SignV4(*out, b.AccessKeyID, b.SecretAccessKey, "", region)
	}
	// These are outside the signature, as AWS allows: a proxy on the way may drop one.
	for _, name := range [...]string{
		"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	} {
		if v, ok := visitor.Header[name]; ok {
			out.Header[name] = v
		}
	}
	return out
}

// cleanResponse takes out of a bucket's response what is the operator's business:
// request ids, storage classes, and the XML of errors with names of buckets, keys
// and accounts in it.
func cleanResponse(method string, resp *http.Response) (*http.Response, error) {
	switch {
	case resp.StatusCode >= 400:
		discard(resp)
		return plain(method, resp.StatusCode, resp.Header), nil
	case resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified:
		discard(resp)
		return nil, cdn.Errorf(cdn.Unavailable, "", "origin bucket: status %d, it is at another endpoint or in another region", resp.StatusCode)
	}
	for name := range resp.Header {
		if isBucketField(name) {
			delete(resp.Header, name)
		}
	}
	dropUploadCoding(resp.Header)
	return resp, nil
}

// dropUploadCoding removes "aws-chunked" from Content-Encoding: it describes how an
// object was once uploaded, and some services hand it out with the plain object.
func dropUploadCoding(h http.Header) {
	var kept []string
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
				kept = append(kept, coding)
			}
		}
	}
	if h.Del("Content-Encoding"); len(kept) > 0 {
		h.Set("Content-Encoding", strings.Join(kept, ", "))
	}
}

// isBucketField reports a field of the storage service that is not the object
// owner's own metadata.
func isBucketField(name string) bool {
	for _, vendor := range [...]string{"X-Amz-", "X-Oss-", "X-Minio-"} {
		if rest, ok := strings.CutPrefix(name, vendor); ok {
			return !strings.HasPrefix(rest, "Meta-")
		}
	}
	return false
}

// plain returns a response of this package's own making, with the few fields of
// the bucket's answer that say when and how to ask again.
func plain(method string, status int, from http.Header) *http.Response {
	text := strconv.Itoa(status) + " " + http.StatusText(status) + "\n"
	header := http.Header{
		"Content-Type":   {"text/plain; charset=utf-8"},
		"Content-Length": {strconv.Itoa(len(text))},
	}
	for _, name := range [...]string{"Date", "Retry-After", "Content-Range"} {
		if v, ok := from[name]; ok {
			header[name] = v
		}
	}
	resp := &http.Response{
		Status: strings.TrimSpace(text), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: int64(len(text)), Body: http.NoBody,
	}
	if method != http.MethodHead {
		resp.Body = io.NopCloser(strings.NewReader(text))
	}
	return resp
}
