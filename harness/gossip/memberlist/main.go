// A member of HashiCorp's memberlist, for tests. Debian's golang-github-hashicorp-memberlist-dev is
// older than labels, and does not authenticate them. The transport in transport.go adds what
// memberlist does since 0.5. The program prints one line for each event:
//
//	ready ADDRESS | join NAME | leave NAME | update NAME
//
// "leave" on standard input makes it leave the cluster. The end of the input ends it at once.
package main

import (
	"bufio"
	"encoding/base64"
	"flag"
	"fmt"
	"io/ioutil"
	"log"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// Serf's delegate versions. A Serf cluster refuses a member without them.
const (
	delegateMin = 2
	delegateMax = 5
)

type printer struct{}

func (printer) NotifyJoin(n *memberlist.Node)   { fmt.Println("join", n.Name) }
func (printer) NotifyLeave(n *memberlist.Node)  { fmt.Println("leave", n.Name) }
func (printer) NotifyUpdate(n *memberlist.Node) { fmt.Println("update", n.Name) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	name := flag.String("name", "go", "name of this member")
	join := flag.String("join", "", "HOST:PORT of a member to join")
	label := flag.String("label", "", "label of the cluster")
	key := flag.String("key", "", "key in base64; without it, gossip is in clear")
	compress := flag.Bool("compress", false, "compress messages")
	protocol := flag.Int("protocol", memberlist.ProtocolVersion2Compatible, "protocol version")
	delegate := flag.Int("delegate", delegateMax, "delegate version, current and highest")
	flag.Parse()

	secret, err := base64.StdEncoding.DecodeString(*key)
	check(err)
	logger := log.New(os.Stderr, "", 0)
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{"127.0.0.1"},
		Logger:    logger,
	})
	check(err)
	labelled, err := newTransport(inner, *label, secret)
	check(err)

	config := memberlist.DefaultLANConfig()
	config.Name = *name
	config.BindAddr = "127.0.0.1"
	config.BindPort = inner.GetAutoBindPort()
	config.AdvertisePort = config.BindPort
	config.Transport = labelled
	config.EnableCompression = *compress
	config.ProtocolVersion = uint8(*protocol)
	config.DelegateProtocolVersion = uint8(*delegate)
	config.DelegateProtocolMin = delegateMin
	if *delegate < delegateMin {
		config.DelegateProtocolMin = uint8(*delegate)
	}
	config.DelegateProtocolMax = uint8(*delegate)
	config.Events = printer{}
	config.LogOutput = ioutil.Discard
	if os.Getenv("VERBOSE") != "" {
		config.LogOutput = os.Stderr
	}
	list, err := memberlist.Create(config)
	check(err)
	fmt.Printf("ready 127.0.0.1:%d\n", config.BindPort)
	if *join != "" {
		_, err = list.Join([]string{*join})
		check(err)
	}

	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		if strings.TrimSpace(input.Text()) != "leave" {
			continue
		}
		check(list.Leave(5 * time.Second))
		check(list.Shutdown())
		return
	}
}
