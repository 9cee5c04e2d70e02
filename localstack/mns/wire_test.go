package mns_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

// A call is a request made by hand, to be spoilt before or after it is signed.
type call struct {
	method, prefix, resource, body string
	header                         map[string]string
	key, secret                    string
	before, after                  func(h http.Header)
}

func (c call) do(t testing.TB, endpoint string) (status int, header http.Header, body string) {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	if c.prefix == "" {
		c.prefix = "/acct.local"
	}
	r, err := http.NewRequest(c.method, strings.TrimSuffix(endpoint, "/acct.local")+c.prefix+c.resource, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	h := r.Header
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("x-mns-version", "2015-06-06")
	h.Set("Content-Type", "text/xml;charset=utf-8")
	h.Set("Content-MD5", base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", md5.Sum([]byte(c.body)))))
	for k, v := range c.header {
		h.Set(k, v)
	}
	if c.before != nil {
		c.before(h)
	}
	if c.key == "" {
		c.key, c.secret = mns.DefaultAccessKeyID, mns.DefaultAccessKeySecret
	}
	var list []string
	for k, v := range h {
		if l := strings.ToLower(k); strings.HasPrefix(l, "x-mns-") {
			list = append(list, l+":"+v[0])
		}
	}
	slices.Sort(list)
	mac := hmac.New(sha1.New, []byte(c.secret))
	fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n%s\n%s", c.method, h.Get("Content-MD5"), h.Get("Content-Type"), h.Get("Date"), strings.Join(list, "\n"), c.resource)
	h.Set("Authorization", "MNS "+c.key+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if c.after != nil {
		c.after(h)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	newQueue(t, client(endpoint), "q")
	set := func(k, v string) func(http.Header) { return func(h http.Header) { h.Set(k, v) } }
	del := func(k string) func(http.Header) { return func(h http.Header) { h.Del(k) } }
	const post, message = http.MethodPost, "/queues/q/messages"
	valid := `<Message xmlns="http://mns.aliyuncs.com/doc/v1/"><MessageBody>x</MessageBody></Message>`
	for name, c := range map[string]struct {
		call
		status int
		code   string
	}{
		"no_authorization":  {call{resource: "/queues/q", after: del("Authorization")}, 400, "MissingAuthorizationHeader"},
		"other_scheme":      {call{resource: "/queues/q", after: set("Authorization", "LOG a:b")}, 400, "InvalidAuthorizationHeader"},
		"no_signature":      {call{resource: "/queues/q", after: set("Authorization", "MNS a")}, 400, "InvalidAuthorizationHeader"},
		"no_date":           {call{resource: "/queues/q", before: del("Date")}, 400, "MissingDateHeader"},
		"malformed_date":    {call{resource: "/queues/q", before: set("Date", "today")}, 400, "InvalidDateHeader"},
		"no_version":        {call{resource: "/queues/q", before: del("x-mns-version")}, 400, "MissingVersionHeader"},
		"other_version":     {call{resource: "/queues/q", before: set("x-mns-version", "2014-07-08")}, 400, "InvalidVersionHeader"},
		"old":               {call{resource: "/queues/q", before: set("Date", time.Now().Add(-16*time.Minute).UTC().Format(http.TimeFormat))}, 408, "TimeExpired"},
		"from_the_future":   {call{resource: "/queues/q", before: set("Date", time.Now().Add(16*time.Minute).UTC().Format(http.TimeFormat))}, 408, "TimeExpired"},
		"unknown_key":       {call{resource: "/queues/q", key: "other", secret: mns.DefaultAccessKeySecret}, 403, "InvalidAccessKeyId"},
		"wrong_secret":      {call{resource: "/queues/q", key: mns.DefaultAccessKeyID, secret: "other"}, 403, "SignatureDoesNotMatch"},
		"header_not_signed": {call{resource: "/queues/q", after: set("x-mns-prefix", "x")}, 403, "SignatureDoesNotMatch"},
		"another_account":   {call{prefix: "/2000000000000000.mns.cn-shanghai.aliyuncs.com", resource: "/queues/q"}, 403, "AccessDenied"},
		"own_account":       {call{prefix: "/" + mns.DefaultAccountID + ".local", resource: "/queues/q"}, 200, ""},
		"other_body":        {call{method: post, resource: message, body: valid, before: set("Content-MD5", "MDEyMzQ1Njc4OWFiY2RlZg==")}, 400, "InvalidDegist"},
		"md5_not_base64":    {call{method: post, resource: message, body: valid, before: set("Content-MD5", "%")}, 400, "InvalidDegist"},
		"json":              {call{method: post, resource: message, body: valid, before: set("Content-Type", "application/json")}, 400, "InvalidContentType"},
		"raw_md5": {call{method: post, resource: message, body: valid, before: func(h http.Header) {
			sum := md5.Sum([]byte(valid))
			h.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
		}}, 201, ""},
		"unknown_path":           {call{resource: "/buckets/q"}, 400, "InvalidRequestURL"},
		"unknown_method":         {call{method: http.MethodPatch, resource: "/queues/q"}, 400, "InvalidRequestURL"},
		"unknown_parameter":      {call{resource: message + "?wait=1"}, 400, "InvalidQueryString"},
		"malformed_parameter":    {call{resource: message + "?waitseconds=x"}, 400, "InvalidQueryString"},
		"parameter_out_of_range": {call{resource: message + "?waitseconds=31"}, 400, "InvalidArgument"},
		"malformed_xml":          {call{method: post, resource: message, body: "<Message><MessageBody>x</Message>"}, 400, "MalformedXML"},
		"no_xml":                 {call{method: post, resource: message}, 400, "MalformedXML"},
		"two_roots":              {call{method: post, resource: message, body: valid + valid}, 400, "MalformedXML"},
		"unknown_root":           {call{method: post, resource: message, body: "<Queue></Queue>"}, 400, "InvalidArgument"},
		"unknown_element":        {call{method: post, resource: message, body: "<Message><MessageBody>x</MessageBody><Colour>red</Colour></Message>"}, 400, "InvalidArgument"},
		"element_twice":          {call{method: post, resource: message, body: "<Message><MessageBody>x</MessageBody><MessageBody>y</MessageBody></Message>"}, 400, "InvalidArgument"},
		"no_body_element":        {call{method: post, resource: message, body: "<Message></Message>"}, 400, "InvalidArgument"},
		"not_a_number":           {call{method: post, resource: message, body: "<Message><MessageBody>x</MessageBody><DelaySeconds>soon</DelaySeconds></Message>"}, 400, "InvalidArgument"},
		"too_deep":               {call{method: post, resource: message, body: strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)}, 400, "MalformedXML"},
		"too_long":               {call{method: post, resource: message, body: "<Message><MessageBody>" + strings.Repeat("x", 1<<20) + "</MessageBody></Message>"}, 400, "InvalidArgument"},
		"no_handle":              {call{method: http.MethodDelete, resource: message}, 400, "MissingReceiptHandle"},
		"no_handle_to_change":    {call{method: http.MethodPut, resource: message + "?VisibilityTimeout=1"}, 400, "MissingReceiptHandle"},
		"no_timeout":             {call{method: http.MethodPut, resource: message + "?ReceiptHandle=x"}, 400, "MissingVisibilityTimeout"},
		"long_name":              {call{method: http.MethodPut, resource: "/queues/" + strings.Repeat("q", 257), body: "<Queue/>"}, 400, "QueueNameLengthError"},
		"long_topic":             {call{method: http.MethodPut, resource: "/topics/" + strings.Repeat("t", 257), body: "<Topic/>"}, 400, "TopicNameLengthError"},
		"long_subscription":      {call{method: http.MethodPut, resource: "/topics/t/subscriptions/" + strings.Repeat("s", 257), body: "<Subscription/>"}, 400, "SubscriptionNameLengthError"},
		"long_page":              {call{resource: "/queues", header: map[string]string{"x-mns-ret-number": "1001"}}, 400, "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, header, body := c.do(t, endpoint)
			if status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, body)
			}
			id := header.Get("x-mns-request-id")
			if len(id) != 24 || header.Get("x-mns-version") != "2015-06-06" {
				t.Errorf("header %v", header)
			}
			if c.code == "" {
				return
			}
			var e struct {
				XMLName                          xml.Name `xml:"http://mns.aliyuncs.com/doc/v1/ Error"`
				Code, Message, RequestId, HostId string
			}
			if err := xml.Unmarshal([]byte(body), &e); err != nil || e.Code != c.code || e.Message == "" || e.RequestId != id || !strings.HasPrefix(e.HostId, "http://127.0.0.1:") {
				t.Errorf("%s, %v, want %s", body, err, c.code)
			}
			if strings.Contains(body, mns.DefaultAccessKeySecret) {
				t.Error("the answer has the secret")
			}
		})
	}
}

// A message that is sent without DelaySeconds has its queue's; one that says 0, as the SDK's always do, has none.
func TestQueueDelay(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	q := newQueue(t, c, "q", ali.WithDelaySeconds(60))
	status, header, body := call{method: http.MethodPost, resource: "/queues/q/messages", body: "<Message><MessageBody>x</MessageBody></Message>"}.do(t, endpoint)
	if status != http.StatusCreated || !strings.Contains(body, "<ReceiptHandle>") || header.Get("Content-Type") != "text/xml;charset=utf-8" {
		t.Errorf("%d %v %s", status, header, body)
	}
	if got := counts(t, c, "q"); got != "0/0/1" {
		t.Errorf("counts %s", got)
	}
	send(t, q, ali.MessageSendRequest{MessageBody: "now"})
	mustReceive(t, q, "now")
}

// A temporary key's token goes beside the signature.
func TestToken(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	c := clientAs(endpoint, mns.DefaultAccessKeyID, mns.DefaultAccessKeySecret, "token")
	if err := ali.NewMNSQueueManager(c).CreateSimpleQueue("q"); err != nil {
		t.Error(err)
	}
	wantCode(t, ali.NewMNSQueueManager(clientAs(endpoint, mns.DefaultAccessKeyID, "wrong", "")).CreateSimpleQueue("p"), "SignatureDoesNotMatch")
	wantCode(t, ali.NewMNSQueueManager(clientAs(endpoint, "wrong", "wrong", "")).CreateSimpleQueue("p"), "InvalidAccessKeyId")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	q := newQueue(t, c, "q")
	s.SetFaults(mns.Faults{Throttle: 1})
	_, err := q.SendMessage(ali.MessageSendRequest{MessageBody: "x"})
	wantCode(t, err, "QpsLimitExceeded")
	s.SetFaults(mns.Faults{Fail: 1})
	_, err = q.SendMessage(ali.MessageSendRequest{MessageBody: "x"})
	wantCode(t, err, "InternalError")
	s.SetFaults(mns.Faults{Lose: 1})
	if _, err = q.SendMessage(ali.MessageSendRequest{MessageBody: "lost answer"}); err == nil {
		t.Error("an answer that was to be lost arrived")
	}
	s.SetFaults(mns.Faults{Delay: 50 * time.Millisecond})
	begun := time.Now()
	mustReceive(t, q, "lost answer")
	if d := time.Since(begun); d < 50*time.Millisecond {
		t.Errorf("answered after %s", d)
	}
	s.SetFaults(mns.Faults{})
	if st := s.Stats(); st.Requests < 4 || st.Errors < 2 {
		t.Errorf("%+v", st)
	}
}

// Every operation of the table has its own line in the SDK's interfaces, and every path is reached.
func TestOperations(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, op := range mns.Operations() {
		if key := op.Method + " " + op.Path; seen[key] || op.Status == "" || op.Name == "" {
			t.Errorf("operation %+v", op)
		} else {
			seen[key] = true
		}
	}
}
