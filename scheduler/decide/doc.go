// Package decide holds the policy: which POP and which nodes a visitor gets. It is
// one pure function of a view and a query, so that every answer can be computed
// again, and explained, from the two.
//
// It is not for protocols: DNS and HTTP ask it the same question.
package decide
