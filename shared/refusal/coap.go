package refusal

// Causes for which a request over CoAP is refused ("CoAP device access").
const (
	CoAPMalformed       Cause = "coap_malformed"
	CoAPPathUnknown     Cause = "coap_path_unknown"
	CoAPMethod          Cause = "coap_method"
	CoAPOptionUnknown   Cause = "coap_option_unknown"
	TokenUnknown        Cause = "token_unknown"
	SequenceMissing     Cause = "sequence_missing"
	SequenceMalformed   Cause = "sequence_malformed"
	SequenceReplayed    Cause = "sequence_replayed"
	CiphertextMalformed Cause = "ciphertext_malformed"
	BlockIncomplete     Cause = "block_incomplete"
	BlockMalformed      Cause = "block_malformed"
	BlockTooLarge       Cause = "block_too_large"
	PSKOtherDevice      Cause = "psk_other_device"
)

var coaps = []Explanation{
	{CoAPMalformed, "A CoAP request cannot be read: the payload of POST /auth is no JSON object of strings and numbers (code 4.00).",
		"Compare the payload with {\"productKey\":\"…\",\"deviceName\":\"…\",\"clientId\":\"…\",\"sign\":\"…\",\"seq\":\"10\"}; /auth is never encrypted, and never sent in blocks."},
	{CoAPPathUnknown, "A CoAP request asked for a path that the platform does not have (code 4.04).",
		"Use /auth, /topic/ with the topic behind it, one Uri-Path option for each segment, or the path of a download URL."},
	{CoAPMethod, "A CoAP request used another method than the path has (code 4.05): POST for /auth and /topic, GET for the path of a download URL.",
		"Correct the method in the firmware."},
	{CoAPOptionUnknown, "A CoAP request has a critical option that the platform does not know, or one of a length that it cannot have (code 4.02).",
		"Leave the option out; its number is in the detail. Tokens go into option 2088 or 61, sequence numbers into 2089."},
	{TokenUnknown, "The token is not known to this node, which keeps the key and the sequence numbers of CoAP on port 5682 in memory: the node was restarted, the device was led to another one, or it has authenticated so often since (five times) that its oldest token was forgotten (code 4.01).",
		"Nothing; the device authenticates again by itself. If it happens all the time, let the load balancer keep a source address on one node."},
	{SequenceMissing, "A request over CoAP on port 5682 came without a sequence number (code 4.01).",
		"Send the encrypted decimal text of a counter in option 2089, beginning with seqOffset."},
	{SequenceMalformed, "The sequence number of a request over CoAP cannot be decrypted, or is no decimal number (code 4.00). Most often the device encrypts with another key.",
		"The key is bytes 8 to 23 of SHA-256 of device secret, comma and random, with the random that came with this very token; the vector begins anew with every value."},
	{SequenceReplayed, "The sequence number of a request over CoAP was used before, is below seqOffset, or lies 64 or more behind the highest one (code 4.01).",
		"Count up by one with every new message; a retransmission keeps message id and number. A device that sends one token from two processes needs two tokens."},
	{CiphertextMalformed, "The payload of a request over CoAP cannot be decrypted (code 4.00).",
		"Encrypt with AES-128-CBC and PKCS#7 padding under the key of this token; an empty payload is either left out or a whole block of padding."},
	{BlockIncomplete, "A block of an upload or of a reply does not continue what is there: one is missing, or it came after a minute of silence (code 4.08).",
		"Send blocks in order, each after the answer to the one before, with the same token and sequence number, and begin again with block 0 after 4.08."},
	{BlockMalformed, "A block has a size that blocks do not have, or its number is behind the end (code 4.00).",
		"Use blocks of 16 to 1024 bytes, all of one size but the last."},
	{BlockTooLarge, "A datagram over CoAP is larger than 1600 bytes, or a body sent in blocks is larger than 128 KB (code 4.13).",
		"Send what does not fit a datagram in blocks of up to 1024 bytes (Block1), and split what is larger than 128 KB into several messages."},
	{PSKOtherDevice, "The device that authenticates, or whose token is used, is not the one whose pre-shared key or certificate opened the DTLS connection (code 4.01).",
		"Use one device's identity for both; a gateway's sub-devices need connections of their own."},
}
