// Package failover measures, with real processes, how long visitors are still sent to what has died: `nearcast up` runs a fleet of five edge POPs and three
// schedulers, nodes and whole POPs are killed without warning, and the clock runs until the route table says so and until no scheduler's map sends anybody there. Of a
// node every front of every scheduler is asked, DNS, DNS over HTTPS, HTTPDNS and the redirecting one, until none of them names it any more. After
// each death the schedulers' maps are compared.
//
//	go test -v ./loadtest/failover -kills 50 -pop-kills 50
//
// Without flags it is a short form of that. It is not for what happens to requests on their way meanwhile: see loadtest/e2e.
package failover
