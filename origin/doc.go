// Package origin reaches the customer's origin: a web server, a load balancer in
// front of several, or an S3- or OSS-compatible bucket. It knows the addresses of
// an origin, keeps connections to them, passes over those that failed a moment ago,
// repeats what is safe to repeat, signs requests for private buckets, and gives
// every failure a kind that its caller can act on.
//
// It is not for caching, for deciding what may be cached, or for talking to other
// nodes of the CDN. It follows no redirect, decodes no content coding and uses no
// proxy of the environment: the origin's answer reaches the cache as it was sent.
package origin
