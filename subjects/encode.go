package subjects

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
)

// The forms of made ids. A made id begins with a lower-case letter and two hyphens; no given id keeps such a
// beginning, so ids of different origin never meet.
const (
	escapedForm = "e--" // the foreign id, escaped
	hashedForm  = "h--" // the hash of a foreign id that is too long for that
	derivedForm = "d--" // the hash of a root id and parts
)

const (
	upperHex = "0123456789ABCDEF"
	// derivedBytes of a hash are 160 bits: no two ids meet by chance or by anyone's effort.
	derivedBytes = 20
	// readableBytes is what remains of MaxID for the readable part: form, readable part, '-', hash in hexadecimal.
	readableBytes = MaxID - len(derivedForm) - 1 - 2*derivedBytes
)

// Encode makes an id of any bytes, such as a user name from another system. Different inputs give different ids and
// the same input gives the same id for ever. It never fails and never returns a reserved id.
//
// A valid id that is not reserved and doesn't look like a made one stays as it is. A short input becomes "e--" and the
// input with every byte but letters, digits and '-' as '_' and two hexadecimal digits, so it can still be read; a
// longer one becomes "h--" and its SHA-256 in base64url. Encode once, where the id enters: encoding an encoded id
// gives yet another one.
func Encode(foreign string) string {
	if ValidID(foreign) && !Reserved(foreign) && !looksMade(foreign) {
		return foreign
	}
	if id, ok := escape(foreign); ok {
		return id
	}
	sum := sha256.Sum256([]byte(foreign))

	return hashedForm + base64.RawURLEncoding.EncodeToString(sum[:])
}

// looksMade reports whether id begins as the made forms do, those of later versions included.
func looksMade(id string) bool {
	return len(id) >= len(escapedForm) && 'a' <= id[0] && id[0] <= 'z' && id[1:len(escapedForm)] == escapedForm[1:]
}

// escape returns the escaped form of s, or false when that is longer than an id.
func escape(s string) (string, bool) {
	if len(s) > MaxID {
		return "", false
	}
	id := append(make([]byte, 0, MaxID), escapedForm...)
	for i := range len(s) {
		if b := s[i]; alphanumeric(b) || b == '-' {
			id = append(id, b)
		} else {
			id = append(id, '_', upperHex[b>>4], upperHex[b&0x0f])
		}
		if len(id) > MaxID {
			return "", false
		}
	}

	return string(id), true
}

// Derive returns the id of something that belongs to root, such as the stream in which a component answers a turn:
// the same root and parts give the same id in every attempt, on every instance and for ever; any other root, part,
// number or order of parts gives another id. Root and parts may be any bytes.
//
// The id is "d--", the first 20 bytes of the first part that an id may hold, '-', and 160 bits of SHA-256 in
// hexadecimal. It equals no id that [Encode] returns.
func Derive(root string, parts ...string) string {
	id := append(make([]byte, 0, MaxID), derivedForm...)
	if len(parts) > 0 {
		id = appendReadable(id, parts[0])
	}
	sum := hashParts(root, parts)

	return string(hex.AppendEncode(append(id, '-'), sum[:derivedBytes]))
}

// appendReadable appends at most readableBytes bytes of s that an id may hold.
func appendReadable(id []byte, s string) []byte {
	end := len(id) + readableBytes
	for i := 0; i < len(s) && len(id) < end; i++ {
		if idByte(s[i]) {
			id = append(id, s[i])
		}
	}

	return id
}

// hashParts hashes each string behind its length, so that no two lists give the same bytes.
func hashParts(root string, parts []string) [sha256.Size]byte {
	const lengthBytes = 8
	size := lengthBytes + len(root)
	for _, p := range parts {
		size += lengthBytes + len(p)
	}
	b := appendPart(make([]byte, 0, size), root)
	for _, p := range parts {
		b = appendPart(b, p)
	}

	return sha256.Sum256(b)
}

func appendPart(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
}
