// Package api is what a scheduler tells other programs over HTTP: why a visitor is sent where it is, what it answers from, and all that another
// scheduler needs to go on from the same map.
//
//	GET /v1/route?name=NAME&client=IP   cdn.RouteExplanation
//	GET /v1/map                         cdn.MapStatus
//	GET /v1/map/versions                []cdn.MapVersion, the newest last
//	GET /v1/map/state                   octets for [nearcast/scheduler.Server.Adopt]
//	GET /v1/relief?pop=POP              cdn.Relief
//
// Everything needs the bearer token. It is not for visitors: those ask the DNS server or the 302 front.
package api
