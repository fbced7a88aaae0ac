// Package apiclient asks schedulers' APIs (package nearcast/scheduler/api).
//
// It is not for visitors' questions.
package apiclient
