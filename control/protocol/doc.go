// Package protocol is what the control plane and the nodes that follow it have
// agreed on: subjects, streams, users and messages on NATS.
//
// A node reads two logs. Live entries are pushed to it as they are stored;
// anything missed is fetched by number:
//
//	node -> HeadRequest                  control -> Head (as the reply)
//	node -> DIRECT.GET of a stream       stream  -> entries, then 204
//	stream -> LiveSnapshot, LivePurge    (each entry, once it is on disk)
//	control -> HeadBeat, every second    (Head again: silence is not "no news")
//	node -> Report + node name           (a cdn.NodeReport)
//	control -> Explain + node name       node -> cdn.Explanation (as the reply)
//
// It is not for the API that people and tools use; see package wire.
package protocol
