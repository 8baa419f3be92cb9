package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// Constants of memberlist 0.5: label.go, security.go, net.go.
const (
	hasLabel       = 244
	encryptMessage = 10
	encryptVersion = 1
	headBytes      = 5
	streamBytesMax = 20 << 20
)

// transport adds label and encryption to what memberlist sends in clear, and removes them from what
// it receives. The label is in front of each packet, and of each stream on the side that dials it.
type transport struct {
	inner   *memberlist.NetTransport
	label   string
	seal    cipher.AEAD
	packets chan *memberlist.Packet
	streams chan net.Conn
}

func newTransport(inner *memberlist.NetTransport, label string, key []byte) (*transport, error) {
	t := &transport{
		inner:   inner,
		label:   label,
		packets: make(chan *memberlist.Packet),
		streams: make(chan net.Conn),
	}
	if len(key) != 0 {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if t.seal, err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	go t.forwardPackets()
	go t.forwardStreams()
	return t, nil
}

func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return t.inner.FinalAdvertiseAddr(ip, port)
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *transport) StreamCh() <-chan net.Conn           { return t.streams }
func (t *transport) Shutdown() error                     { return t.inner.Shutdown() }

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	packet := append(t.header(), t.encrypt(b, []byte(t.label))...)
	return t.inner.WriteTo(packet, addr)
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	conn, err := t.inner.DialTimeout(addr, timeout)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(t.header()); err != nil {
		conn.Close()
		return nil, err
	}
	return &stream{Conn: conn, t: t}, nil
}

func (t *transport) forwardPackets() {
	for packet := range t.inner.PacketCh() {
		rest := bytes.TrimPrefix(packet.Buf, t.header())
		if len(rest)+len(t.header()) != len(packet.Buf) || (len(rest) > 0 && rest[0] == hasLabel) {
			continue
		}
		plain, err := t.decrypt(rest, []byte(t.label))
		if err != nil {
			continue
		}
		packet.Buf = plain
		t.packets <- packet
	}
}

func (t *transport) forwardStreams() {
	for conn := range t.inner.StreamCh() {
		go t.accept(conn)
	}
}

func (t *transport) accept(conn net.Conn) {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	header := make([]byte, len(t.header()))
	if _, err := io.ReadFull(conn, header); err != nil || !bytes.Equal(header, t.header()) {
		conn.Close()
		return
	}
	t.streams <- &stream{Conn: conn, t: t}
}

// header is what AddLabelHeaderToPacket and AddLabelHeaderToStream write. It is empty without a
// label.
func (t *transport) header() []byte {
	if t.label == "" {
		return nil
	}
	return append([]byte{hasLabel, byte(len(t.label))}, t.label...)
}

func (t *transport) encrypt(plain, extra []byte) []byte {
	if t.seal == nil {
		return plain
	}
	nonce := make([]byte, t.seal.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		panic(err)
	}
	out := append([]byte{encryptVersion}, nonce...)
	return t.seal.Seal(out, nonce, plain, extra)
}

func (t *transport) decrypt(sealed, extra []byte) ([]byte, error) {
	if t.seal == nil {
		return sealed, nil
	}
	size := 1 + t.seal.NonceSize()
	if len(sealed) < size || sealed[0] != encryptVersion {
		return nil, errors.New("not encrypted")
	}
	return t.seal.Open(nil, sealed[1:size], sealed[size:], extra)
}

// stream encrypts what memberlist writes, and decrypts the message that it reads. Each Write is one
// message.
type stream struct {
	net.Conn
	t    *transport
	read *bytes.Reader
}

func (s *stream) Write(b []byte) (int, error) {
	out := b
	if s.t.seal != nil {
		head := make([]byte, headBytes)
		head[0] = encryptMessage
		size := 1 + s.t.seal.NonceSize() + len(b) + s.t.seal.Overhead()
		binary.BigEndian.PutUint32(head[1:], uint32(size))
		out = append(head, s.t.encrypt(b, append(head[:headBytes:headBytes], s.t.label...))...)
	}
	if _, err := s.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *stream) Read(b []byte) (int, error) {
	if s.t.seal == nil {
		return s.Conn.Read(b)
	}
	if s.read == nil {
		head := make([]byte, headBytes)
		if _, err := io.ReadFull(s.Conn, head); err != nil {
			return 0, err
		}
		size := binary.BigEndian.Uint32(head[1:])
		if head[0] != encryptMessage || size > streamBytesMax {
			return 0, errors.New("not encrypted")
		}
		sealed := make([]byte, size)
		if _, err := io.ReadFull(s.Conn, sealed); err != nil {
			return 0, err
		}
		plain, err := s.t.decrypt(sealed, append(head, s.t.label...))
		if err != nil {
			return 0, err
		}
		s.read = bytes.NewReader(plain)
	}
	return s.read.Read(b)
}
