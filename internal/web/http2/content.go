package http2

// content is octets that wait to be sent, in pieces that are not ours.
type content struct {
	pieces [][]byte
	at     int   // the first piece of which there is something left
	offset int   // what of it has been taken
	left   int64 // octets
}

// add adds a piece.
func (q *content) add(p []byte) {
	if len(p) > 0 {
		q.pieces = append(q.pieces, p)
		q.left += int64(len(p))
	}
}

// take moves n octets, of which there must be as many, to dst.
func (q *content) take(dst []byte, n int) []byte {
	q.left -= int64(n)
	for n > 0 {
		p := q.pieces[q.at][q.offset:]
		if n < len(p) {
			q.offset += n
			return append(dst, p[:n]...)
		}
		dst = append(dst, p...)
		n -= len(p)
		q.pieces[q.at] = nil
		q.at, q.offset = q.at+1, 0
	}
	if q.left == 0 {
		q.drop()
	}
	return dst
}

// drop forgets what is left. It keeps the memory of the list.
func (q *content) drop() {
	clear(q.pieces)
	*q = content{pieces: q.pieces[:0]}
}
