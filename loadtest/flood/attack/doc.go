// Package attack holds clients that mean harm to a web server, each written from the RFCs and the reports of one class of
// denial of service: floods of HTTP/2 frames that cost the server more than the client, header blocks that do not end, requests
// whose answers nobody reads, and connections that hardly move.
//
// They are for servers of your own, on this machine: a [Target] elsewhere is refused.
package attack
