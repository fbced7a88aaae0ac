// Package drain says what may be drained: taken away from new visitors while it goes on to serve those who come. It is pure.
//
// It is not for carrying a drain out: schedulers do that, from the drains of a configuration.
package drain
