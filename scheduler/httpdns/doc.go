// Package httpdns answers "where is this host?" over HTTP, for programs that know of this CDN and do not want to depend on a resolver:
//
//	GET /resolve?host=www.shop.example,img.shop.example&type=4,6,https&ip=192.0.2.1
//
// host may be repeated or a list, of 20 at most. type is what is wanted: 4, 6, https; default 4 and 6. ip is the visitor's address, or a prefix of it; default
// who asks. Decisions are those of DNS. The answer is an [Answer] in JSON; docs/OPERATIONS.md explains it.
//
// Where there are keys, which may change at any time, every request needs three parameters more: id names the key, t is
// the unix second until which the request is good, at most ten minutes ahead, and sign is the HMAC-SHA256 in hex, with
// the key, of all other parameters, see [Canonical].
//
// It listens on nothing, and does not look for the visitor in fields of the request: whoever serves it says who asks.
package httpdns
