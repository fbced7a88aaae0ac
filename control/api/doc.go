// Package api is the control plane's HTTP API under /v1: what the command line
// and other tools speak. Every request needs the bearer token, also for paths that do not exist.
//
// It is not for nodes, which follow the logs; see package feedclient.
package api
