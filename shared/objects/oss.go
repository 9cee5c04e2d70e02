package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"relink/shared/config"
	"relink/shared/iot"
)

// Patience with the service: one request, and how often it is made where it may be repeated.
const (
	requestTimeout = 8 * time.Second
	attempts       = 3
	maxObject      = 64 << 20 // of one Put
)

// A Store is a Bucket of the service. It is safe for concurrent use.
type Store struct {
	client      *oss.Client
	bucket      *oss.Bucket
	name        string
	credentials atomic.Pointer[credentials]
}

// Open makes a store of the bucket that the environment names. It does not talk to the service.
func Open(c config.Cloud) (*Store, error) {
	s := &Store{name: c.OSSBucket}
	s.SetCredentials(c.AccessKeyID, c.AccessKeySecret, c.SecurityToken)
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   3 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
		MaxIdleConns:          128,
		MaxIdleConnsPerHost:   128,
		IdleConnTimeout:       25 * time.Second,
		DisableCompression:    true,
	}
	var err error
	s.client, err = oss.New(c.OSSEndpoint, "", "", oss.SetCredentialsProvider(s), oss.AuthVersion(oss.AuthV4), oss.Region(c.Region),
		oss.HTTPClient(&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}))
	if err != nil {
		return nil, fmt.Errorf("OSS_ENDPOINT: %w", err)
	}
	if s.bucket, err = s.client.Bucket(c.OSSBucket); err != nil {
		return nil, fmt.Errorf("OSS_BUCKET: %w", err)
	}
	return s, nil
}

type credentials struct {
	id            string
	secret, token iot.Secret
}

func (c *credentials) GetAccessKeyID() string     { return c.id }
func (c *credentials) GetAccessKeySecret() string { return c.secret.Reveal() }
func (c *credentials) GetSecurityToken() string   { return c.token.Reveal() }

// SetCredentials replaces the access key: temporary ones are renewed while a store lives.
func (s *Store) SetCredentials(id string, secret, token iot.Secret) {
	s.credentials.Store(&credentials{id, secret, token})
}

// GetCredentials is for the SDK.
func (s *Store) GetCredentials() oss.Credentials { return s.credentials.Load() }

// EnsureBucket creates the bucket, private, if it is missing.
func (s *Store) EnsureBucket(ctx context.Context) (created bool, err error) {
	err = s.try(ctx, "create bucket "+s.name, func(ctx context.Context) error {
		there, err := s.client.IsBucketExist(s.name)
		if err != nil || there {
			return err
		}
		created = true
		return s.client.CreateBucket(s.name, oss.ACL(oss.ACLPrivate), oss.WithContext(ctx))
	})
	return created && err == nil, err
}

// Put stores an object, replacing what has its key.
func (s *Store) Put(ctx context.Context, key string, data []byte, contentType string) error {
	if len(data) > maxObject {
		return iot.Errorf(iot.InvalidParams, "the file is larger than %d bytes", maxObject)
	}
	return s.try(ctx, "put "+key, func(ctx context.Context) error {
		return s.bucket.PutObject(key, bytes.NewReader(data), oss.ContentType(contentType), oss.WithContext(ctx))
	})
}

// Append adds to an object, see Bucket.
func (s *Store) Append(ctx context.Context, key string, position int64, data []byte) (Appended, error) {
	var done Appended
	err := s.try(ctx, "append to "+key, func(ctx context.Context) error {
		var header http.Header
		r, err := s.bucket.DoAppendObject(&oss.AppendObjectRequest{ObjectKey: key, Reader: bytes.NewReader(data), Position: position},
			[]oss.Option{oss.ContentType("application/octet-stream"), oss.GetResponseHeader(&header), oss.WithContext(ctx)})
		if e, ok := errors.AsType[oss.ServiceError](err); ok && e.Code == "PositionNotEqualToLength" {
			size, err := strconv.ParseInt(header.Get(oss.HTTPHeaderOssNextAppendPosition), 10, 64)
			if err != nil {
				return fmt.Errorf("the length of the object is not told: %w", err)
			}
			return &PositionError{Size: size}
		}
		if err == nil {
			done = Appended{Size: r.NextPosition, CRC: r.CRC}
		}
		return err
	})
	return done, err
}

// Read reads a part of an object, see Bucket.
func (s *Store) Read(ctx context.Context, key string, offset int64, limit int) ([]byte, error) {
	if limit <= 0 {
		return nil, nil
	}
	var data []byte
	err := s.try(ctx, "read "+key, func(ctx context.Context) error {
		body, err := s.bucket.GetObject(key, oss.Range(offset, offset+int64(limit)-1), oss.RangeBehavior("standard"), oss.WithContext(ctx))
		if e, ok := errors.AsType[oss.ServiceError](err); ok && e.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			data = nil
			return nil
		}
		if err != nil {
			return err
		}
		data, err = io.ReadAll(io.LimitReader(body, int64(limit)))
		return errors.Join(err, body.Close())
	})
	return data, err
}

// Stat tells about an object.
func (s *Store) Stat(ctx context.Context, key string) (Info, error) {
	var info Info
	err := s.try(ctx, "stat "+key, func(ctx context.Context) error {
		h, err := s.bucket.GetObjectDetailedMeta(key, oss.WithContext(ctx))
		if err != nil {
			return err
		}
		size, err1 := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		crc, err2 := strconv.ParseUint(h.Get(oss.HTTPHeaderOssCRC64), 10, 64)
		info = Info{Size: size, CRC: crc}
		return errors.Join(err1, err2)
	})
	return info, err
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.try(ctx, "delete "+key, func(ctx context.Context) error { return s.bucket.DeleteObject(key, oss.WithContext(ctx)) })
}

// try makes a request until it is answered in a way that another try would not change.
func (s *Store) try(ctx context.Context, doing string, f func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		one, cancel := context.WithTimeout(ctx, requestTimeout)
		err := classify(f(one), doing)
		cancel()
		if attempt == attempts || ctx.Err() != nil || !iot.Is(err, iot.Unavailable) && !iot.Is(err, iot.Throttled) {
			return err
		}
		pause := time.NewTimer(time.Duration(attempt)*50*time.Millisecond + rand.N(50*time.Millisecond))
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// classify gives an error of the SDK the kind that callers act on.
func classify(err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*PositionError](err); ok {
		return err
	}
	wrapped := fmt.Errorf("%s: %w", doing, err)
	if e, ok := errors.AsType[oss.ServiceError](err); ok {
		switch {
		case e.Code == "NoSuchKey" || e.StatusCode == http.StatusNotFound && e.Code != "NoSuchBucket":
			return fmt.Errorf("%s: %w", doing, ErrNotFound)
		case e.StatusCode == http.StatusServiceUnavailable || e.StatusCode == http.StatusTooManyRequests:
			return iot.Wrap(iot.Throttled, wrapped, "the object storage is busy")
		case e.StatusCode >= 500:
			return iot.Wrap(iot.Unavailable, wrapped, "the object storage does not answer")
		}
		return iot.Wrap(iot.Internal, wrapped, "")
	}
	if _, ok := errors.AsType[oss.CRCCheckError](err); ok {
		return iot.Wrap(iot.Unavailable, wrapped, "the object was damaged on its way")
	}
	return iot.Wrap(iot.Unavailable, wrapped, "the object storage does not answer") // no answer at all
}
