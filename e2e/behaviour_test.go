package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/scripts/load"
	"relink/shared/token"
)

// A speaker is one device that speaks a protocol. It never ends a test over what the platform answers: the behaviours judge that.
type speaker interface {
	secret(secret string)
	login() (code string)                                   // connects, or authenticates; again too
	say(topic, payload, replies string) answer              // posts, and gives what came back; replies is the topic of the reply, "" if none is due
	again() answer                                          // sends the last message once more, as the protocol's retransmission
	tell(topic, payload string) bool                        // posts without asking for an answer; false: there is no such way
	hear(topic string, within time.Duration) (string, bool) // what the platform says unasked
	leave()
}

// A bearer is a speaker with a token: token exchanges it for another one, and reconnect lets it speak on with the one that it has after
// the connector was gone.
type bearer interface {
	token(text string) (old string, family token.Family)
	reconnect() error
}

// An answer is what a device knows after a post: accepted or the protocol's code, and what came along.
type answer struct{ code, body string }

// accepted stands for each protocol's code of success: CONNACK 0 and PUBACK, 2.05, 0.
const accepted = "accepted"

// A protocol is one way to speak with the platform, with what it cannot do, and what its devices are told when they are refused.
type protocol struct {
	name   string
	open   func(t *testing.T, s *system, d load.Device) speaker
	cannot map[string]string // behaviour → why
	codes  map[string]string // refusal → code
}

const (
	noDownlink   = "nothing is sent to a device that keeps no connection"
	noGoodbye    = "online until ten minutes after the last message"
	noSubDevices = "a sub-device's session is part of a connection"
)

var (
	coapCannot = map[string]string{
		"property set from the cloud":  noDownlink,
		"offline when it has left":     noGoodbye,
		"sub-device behind a gateway":  noSubDevices,
		"token outlives the connector": "key and sequence numbers are in its memory",
	}
	coapsCannot = map[string]string{
		"property set from the cloud": noDownlink,
		"offline when it has left":    noGoodbye,
		"sub-device behind a gateway": noSubDevices,
	}
	httpCannot = map[string]string{
		"property set from the cloud": noDownlink,
		"reply to a post":             "the code alone",
		"online after a message":      "online no longer than a request takes",
		"repetition stored once":      "a request has no number",
		"unacknowledged message":      "each request has its answer",
		"sub-device behind a gateway": noSubDevices,
	}
	coapCodes = map[string]string{
		"wrong signature": "4.01", "unknown device": "4.01", "foreign topic": "4.03", "unknown topic": "4.04", "too large": "4.13", "disabled": "4.03", "login while disabled": "4.03",
		"deleted": "4.01", "old secret": "4.01", "old secret's token": "4.01", "expired token": "4.01", "wrong token": "4.01", "too fast": "4.29",
	}
	httpCodes = map[string]string{
		"wrong signature": "20000", "unknown device": "20000", "foreign topic": "30001", "unknown topic": "30001", "too large": "10001", "disabled": "20003", "login while disabled": "20000",
		"deleted": "20003", "old secret": "20000", "old secret's token": "20001", "expired token": "20001", "wrong token": "20003", "too fast": "40000",
	}
	protocols = []protocol{
		{"MQTT", openMQTT, map[string]string{"wrong token": "no tokens", "expired token": "no tokens", "token outlives the connector": "no tokens"}, map[string]string{
			"wrong signature": "CONNACK 4", "unknown device": "CONNACK 4", "foreign topic": accepted, "unknown topic": accepted, "too large": "closed", "disabled": "closed",
			"login while disabled": "CONNACK 5", "deleted": "closed", "old secret": "CONNACK 4", "too fast": "no PUBACK",
		}},
		{"CoAP", openCoAP, coapCannot, coapCodes},
		{"CoAP over DTLS", openCoAPS, coapsCannot, coapCodes},
		{"HTTP", openHTTP, httpCannot, httpCodes},
		{"HTTPS", openHTTPS, httpCannot, httpCodes},
	}
)

// errUnable is what a behaviour returns that the protocol has no means for, as opposed to one that goes wrong.
var errUnable = errors.New("the protocol cannot")

// A behaviour is what the platform does for a device, whatever protocol it speaks.
type behaviour struct {
	name string
	run  func(c *trial) error // nil or errUnable; what goes wrong is the trial's to tell
}

// behaviours run on a system that they share with other tests.
var behaviours = []behaviour{
	{"property post", propertyPost},
	{"reply to a post", replyToPost},
	{"post of 9 KB", largePost},
	{"event post", eventPost},
	{"tags", tagsOfDevice},
	{"custom topic", customTopic},
	{"shadow", shadowOfDevice},
	{"desired properties", desiredProperties},
	{"remote configuration", remoteConfiguration},
	{"firmware version", firmwareVersion},
	{"time (NTP)", timeOfPlatform},
	{"unacknowledged message", unacknowledged},
	{"20 posts in order", postsInOrder},
	{"repetition stored once", repetition},
	{"online after a message", onlineAfterMessage},
	{"offline when it has left", offlineWhenLeft},
	{"property set from the cloud", propertySet},
	{"sub-device behind a gateway", subDevice},
	{"malformed message told", malformedMessage},
	{"value against the model told", wrongValue},
	{"event outside the model explained", unknownEvent},
	{"foreign topic", foreignTopic},
	{"unknown topic", unknownTopic},
	{"unknown system topic told", unknownSystemTopic},
	{"payload too large", tooLarge},
	{"wrong signature", wrongSignature},
	{"unknown device", unknownDevice},
	{"wrong token", wrongToken},
	{"disabled device refused within a second", disabledDevice},
	{"deleted device refused within a second", deletedDevice},
	{"rotated secret", rotatedSecret},
}

// strictBehaviours need limits that localstack does not have by default.
var strictBehaviours = []behaviour{
	{"expired token", expiredToken},
	{"messages too fast", tooFast},
}

// crashBehaviours kill the connector.
var crashBehaviours = []behaviour{
	{"kill -9 of the connector", killedConnector},
	{"token outlives the connector", tokenOutlives},
}

// A trial is a behaviour of one device over one protocol. The device is not logged in.
type trial struct {
	speaker
	t      *testing.T
	s      *system
	api    *iotapi.Client
	p      *protocol
	device load.Device
}

func (c *trial) sys(suffix string) string {
	return "/sys/" + c.device.ProductKey + "/" + c.device.DeviceName + "/" + suffix
}

// of is a topic whose product key and device name stand in the middle.
func (c *trial) of(before, after string) string {
	return before + c.device.ProductKey + "/" + c.device.DeviceName + after
}

func (c *trial) enter() {
	c.t.Helper()
	if code := c.login(); code != accepted {
		c.t.Fatalf("login: %s", code)
	}
}

// ask says something that has to be accepted, and gives the reply.
func (c *trial) ask(topic, payload, replies string) string {
	c.t.Helper()
	a := c.say(topic, payload, replies)
	if a.code != accepted {
		c.t.Fatalf("%s: %+v", topic, a)
	}
	return a.body
}

const postTopic = "thing/event/property/post"

func (c *trial) post(params string) string {
	c.t.Helper()
	return c.ask(c.sys(postTopic), `{"id":"1","version":"1.0","params":`+params+`,"method":"thing.event.property.post"}`, c.sys(postTopic+"_reply"))
}

// attempt posts without expecting anything.
func (c *trial) attempt() string {
	c.t.Helper()
	return c.say(c.sys(postTopic), `{"id":"1","params":{"level":7}}`, "").code
}

// told wants what the protocol tells a device that is refused.
func (c *trial) told(refusal, code string) {
	c.t.Helper()
	if want := c.p.codes[refusal]; code != want {
		c.t.Errorf("%s: told %s, want %s", refusal, code, want)
	}
}

func (c *trial) why(cause string, words ...string) {
	c.t.Helper()
	whyFinds(c.t, c.s, cause, words, c.device.ProductKey, c.device.DeviceName)
}

// becomes waits, no longer than a second, until the device is told something.
func (c *trial) becomes(refusal string) {
	c.t.Helper()
	got := ""
	for end := time.Now().Add(time.Second); time.Now().Before(end); pause(c.t, 20*time.Millisecond) {
		if got = c.attempt(); got == c.p.codes[refusal] {
			return
		}
	}
	c.t.Errorf("%s: after a second told %s, want %s", refusal, got, c.p.codes[refusal])
}

func (c *trial) contains(what, text string, words ...string) {
	c.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			c.t.Errorf("%s: %q, want %q in it", what, text, w)
		}
	}
}

func (c *trial) succeeds(what string, success *bool, err error) {
	c.t.Helper()
	if err != nil || !tea.BoolValue(success) {
		c.t.Fatalf("%s: %v, success %v", what, err, tea.BoolValue(success))
	}
}

// suiteModel is the lamp's, with an event.
var suiteModel = strings.Replace(lampModel, `"events":[]`,
	`"events":[{"identifier":"alarm","name":"alarm","type":"alert","required":false,"outputData":[{"identifier":"code","name":"code","dataType":{"type":"int","specs":{"min":"0","max":"999","step":"1"}}}]}]`, 1)

// suiteProduct is a product with that model.
func suiteProduct(t *testing.T, s *system) string {
	t.Helper()
	api := s.api(t)
	pk := plainProduct(t, api, fmt.Sprintf("suite_%d", time.Now().UnixNano()%1e12), 0, 1)
	if r, err := api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &suiteModel}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("ImportThingModelTsl: %v %v", err, r)
	}
	publishModel(t, api, pk)
	return pk
}

// play runs behaviours over every protocol. One that is declared impossible has to be, and every other one has to work.
func play(t *testing.T, s *system, rows []behaviour, parallel bool) {
	t.Helper()
	pk := suiteProduct(t, s)
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"interval":30}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.relink(t, "config", "publish", pk, "--file", config)
	for i := range protocols {
		p := &protocols[i]
		t.Run(p.name, func(t *testing.T) {
			if parallel {
				t.Parallel()
			}
			for n, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					api := s.api(t)
					d := newDevice(t, api, pk, fmt.Sprintf("%s-%02d", strings.ReplaceAll(p.name, " ", "-"), n))
					c := &trial{speaker: p.open(t, s, d), t: t, s: s, api: api, p: p, device: d}
					err := row.run(c)
					why, declared := p.cannot[row.name]
					switch {
					case declared && err == nil && !t.Failed():
						t.Errorf("%s is declared impossible (%s), and works", row.name, why)
					case !declared && err != nil:
						t.Errorf("%s: %v, and that is not declared", row.name, err)
					}
				})
			}
		})
	}
}

// The platform behaves the same over all protocols, but for what they declare.
func TestBehaviour(t *testing.T) {
	t.Parallel()
	play(t, sharedSystem(t), behaviours, true)
}

// The same where tokens live for some seconds, and a device may send two messages in a second.
func TestBehaviourWithLimits(t *testing.T) {
	t.Parallel()
	play(t, systemWith(t, "RELINK_TOKEN_LIFE=4s", "RELINK_UPLINK_QOS1_PER_SECOND=2", "RELINK_UPLINK_QOS0_PER_SECOND=2"), strictBehaviours, true)
}

// The same over a crash, one protocol after the other.
func TestBehaviourOverACrash(t *testing.T) {
	t.Parallel()
	play(t, ownSystem(t), crashBehaviours, false)
}

// abilities is the README's table of what each protocol can do.
func abilities() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, p := range protocols {
		b.WriteString(" " + p.name + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(protocols)) + "\n")
	for _, row := range slices.Concat(behaviours, strictBehaviours, crashBehaviours) {
		b.WriteString("| " + row.name + " |")
		for _, p := range protocols {
			if why, declared := p.cannot[row.name]; declared {
				b.WriteString(" no: " + why + " |")
			} else {
				b.WriteString(" yes |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The README says of each protocol what the suite declares, and the suite declares nothing that it does not try.
func TestAbilitiesInREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := abilities(); !strings.Contains(string(text), want) {
		t.Errorf("README.md does not have the table of the suite:\n%s", want)
	}
	all := slices.Concat(behaviours, strictBehaviours, crashBehaviours)
	for _, p := range protocols {
		for name := range p.cannot {
			if !slices.ContainsFunc(all, func(b behaviour) bool { return b.name == name }) {
				t.Errorf("%s cannot %q, which no behaviour tries", p.name, name)
			}
		}
	}
}
