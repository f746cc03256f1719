/* The bench's server: listens, reads requests, writes replies. What they say is s3.c's and
   aws.c's. Signatures are not checked. */
#include "bench.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, STACK = 512 * 1024, BODY_LIMIT = 64 << 20, QUICK = 128 * 1024 };

struct options options;
struct counters counters;
static SSL_CTX *tls;

/* --- bytes -------------------------------------------------------------------------- */

static long read_some(struct conn *c, char *into, size_t room)
{
    return c->ssl ? SSL_read(c->ssl, into, (int)room) : recv(c->fd, into, room, 0);
}

bool send_all(struct conn *c, const char *data, size_t length)
{
    while (length) {
        long sent = c->ssl ? SSL_write(c->ssl, data, (int)length)
                           : send(c->fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool flush(struct conn *c)
{
    size_t length = c->out_len;
    c->out_len = 0;
    return !length || send_all(c, c->out, length);
}

/* Small pieces leave together: one record, one segment. */
bool append(struct conn *c, const char *data, size_t length)
{
    if (c->out_len + length > OUT_SIZE && !flush(c))
        return false;
    if (length > OUT_SIZE)
        return send_all(c, data, length);
    memcpy(c->out + c->out_len, data, length);
    c->out_len += length;
    return true;
}

/* --- replies ------------------------------------------------------------------------ */

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 404: return "Not Found";
    case 416: return "Range Not Satisfiable";
    case 503: return "Slow Down";
    default: return "Bad Request";
    }
}

static const char *now_text(void)
{
    static _Thread_local time_t made;
    static _Thread_local char text[40];
    time_t now = time(NULL);
    struct tm parts;
    if (now != made)
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    made = now;
    return text;
}

static void wait_a_little(void)
{
    struct timespec pause = {options.delay_ms / 1000, options.delay_ms % 1000 * 1000000L};
    if (options.delay_ms)
        nanosleep(&pause, NULL);
}

/* A reply before the request's body was read would leave the body in the stream. */
static bool drain(struct conn *c, struct request *r)
{
    char *data;
    while (r->left > 0)
        if (body_next(c, r, &data) <= 0)
            return false;
    return true;
}

bool begin_reply(struct conn *c, struct request *r, int status, const char *headers,
                 long long length)
{
    char head[1024];
    if (!drain(c, r))
        return false;
    wait_a_little();
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nx-amz-id-2: 8yqVvG4Zd3c1pX7n0bTtq5WmR2sUeLhJkYfAoCi9D6E\r\n"
                        "x-amz-request-id: 0123456789ABCDEF\r\nDate: %s\r\n%sServer: bench\r\n"
                        "Content-Length: %lld\r\n%s\r\n",
                        status, reason(status), now_text(), headers, length,
                        r->close ? "Connection: close\r\n" : "");
    return append(c, head, (size_t)size);
}

bool reply(struct conn *c, struct request *r, int status, const char *headers,
           const char *body, size_t length)
{
    return begin_reply(c, r, status, headers, (long long)length) && append(c, body, length) &&
           flush(c);
}

/* --- requests ----------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

size_t percent_decode(char *text)
{
    char *from = text, *to = text;
    while (*from) {
        if (*from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            *to++ = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

/* The value of a query parameter, decoded. False where it is not there. */
bool query_value(const char *query, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    for (const char *at = query; at && *at; at = strchr(at, '&'), at = at ? at + 1 : at) {
        if (strncmp(at, name, length) || (at[length] && !strchr("=&", at[length])))
            continue;
        at += length + (at[length] == '=');
        snprintf(value, size, "%.*s", (int)strcspn(at, "&"), at);
        percent_decode(value);
        return true;
    }
    return false;
}

static void read_md5(struct request *r, const char *value)
{
    unsigned char raw[32];
    r->has_md5 = strlen(value) == 24 &&
                 EVP_DecodeBlock(raw, (const unsigned char *)value, 24) == 18;
    memcpy(r->md5, raw, 16);
}

static void read_range(struct request *r, const char *value)
{
    r->last = -1;
    if (sscanf(value, "bytes=%lld-%lld", &r->first, &r->last) < 1)
        r->first = -1;
}

static void read_header(struct request *r, const char *name, size_t length, const char *value)
{
#define IS(text) (length == sizeof text - 1 && !strncasecmp(name, text, sizeof text - 1))
    if (IS("content-length"))
        r->length = atoll(value);
    else if (IS("range"))
        read_range(r, value);
    else if (IS("content-md5"))
        read_md5(r, value);
    else if (IS("x-amz-target"))
        snprintf(r->target, sizeof r->target, "%s", value);
    else if (IS("x-amz-decoded-content-length"))
        r->decoded = atoll(value);
    else if (IS("expect"))
        r->expect = true;
    else if (IS("transfer-encoding"))
        r->chunked = true;
    else if (IS("connection"))
        r->close = !strcasecmp(value, "close");
#undef IS
}

static void read_target(struct request *r, char *target)
{
    static char empty[] = "";
    char *query = strchr(target, '?');
    r->query = query ? query + 1 : empty;
    if (query)
        *query = 0;
    r->bucket = target + (*target == '/');
    char *slash = strchr(r->bucket, '/');
    r->key = slash ? slash + 1 : empty;
    if (slash)
        *slash = 0;
    percent_decode(r->bucket);
    percent_decode(r->key);
}

/* Parses a head in place; it ends with an empty line that was cut off. */
static bool parse(struct request *r, char *head)
{
    *r = (struct request){.first = -1, .decoded = -1};
    char *line = strstr(head, "\r\n"), *space = strchr(head, ' ');
    char *end = space ? strchr(space + 1, ' ') : NULL;
    if (!end || space - head >= (long)sizeof r->method)
        return false;
    memcpy(r->method, head, (size_t)(space - head));
    *end = 0;
    while (line) {
        char *name = line + 2, *colon = strchr(name, ':');
        line = strstr(name, "\r\n");
        if (line)
            *line = 0;
        if (colon)
            read_header(r, name, (size_t)(colon - name), colon + 1 + strspn(colon + 1, " "));
    }
    read_target(r, space + 1);
    r->left = r->length;
    return true;
}

/* Reads a head into ``head``; false at the end of the connection. */
static bool read_request(struct conn *c, struct request *r, char *head)
{
    for (;;) {
        c->in[c->have] = 0;
        char *end = memmem(c->in + c->at, c->have - c->at, "\r\n\r\n", 4);
        if (end) {
            size_t length = (size_t)(end - c->in) - c->at;
            memcpy(head, c->in + c->at, length);
            head[length] = 0;
            c->at += length + 4;
            return parse(r, head);
        }
        memmove(c->in, c->in + c->at, c->have - c->at);
        c->have -= c->at;
        c->at = 0;
        long got = c->have < IN_SIZE ? read_some(c, c->in + c->have, IN_SIZE - c->have) : 0;
        if (got <= 0)
            return false;
        c->have += (size_t)got;
    }
}

/* The next run of the body: its length, 0 at its end, -1 where the connection is gone. */
long body_next(struct conn *c, struct request *r, char **data)
{
    if (r->left <= 0)
        return 0;
    if (r->expect && c->at == c->have && !send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25))
        return -1;
    r->expect = false;
    if (c->at == c->have) {
        long got = read_some(c, c->in, IN_SIZE);
        if (got <= 0)
            return -1;
        c->at = 0;
        c->have = (size_t)got;
    }
    size_t run = c->have - c->at;
    if ((long long)run > r->left)
        run = (size_t)r->left;
    *data = c->in + c->at;
    c->at += run;
    r->left -= (long long)run;
    counters.bytes_in += run;
    return (long)run;
}

/* The body as text of the caller's to free; NULL where it did not come whole. */
char *body_whole(struct conn *c, struct request *r)
{
    if (r->length > BODY_LIMIT)
        return NULL;
    char *whole = malloc((size_t)r->length + 1), *data;
    size_t size = 0;
    long run;
    while ((run = body_next(c, r, &data)) > 0) {
        memcpy(whole + size, data, (size_t)run);
        size += (size_t)run;
    }
    whole[size] = 0;
    if (run == 0)
        return whole;
    free(whole);
    return NULL;
}

/* --- what the server says of itself ------------------------------------------------- */

static bool serve_stats(struct conn *c, struct request *r)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    size_t size = 64 * 1024;
    char *text = malloc(size);
    int n = snprintf(text, size,
        "{\"cpu_s\":%.3f,\"gets\":%llu,\"heads\":%llu,\"puts\":%llu,\"parts\":%llu,"
        "\"creates\":%llu,\"completes\":%llu,\"lists\":%llu,\"deletes\":%llu,\"refused\":%llu,"
        "\"other\":%llu,\"receives\":%llu,\"empty_receives\":%llu,\"delete_batches\":%llu,"
        "\"visibility_batches\":%llu,\"dynamodb\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,"
        "\"connections\":%llu,\"open\":%llu,\"most_open\":%llu,\"uploads\":%zu,\"queues\":{",
        (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
        counters.gets, counters.heads, counters.puts, counters.parts, counters.creates,
        counters.completes, counters.lists, counters.deletes, counters.refused, counters.other,
        counters.receives, counters.empty_receives, counters.delete_batches,
        counters.visibility_batches, counters.dynamodb, counters.bytes_in, counters.bytes_out,
        counters.connections, counters.open, counters.most_open, open_uploads());
    n += (int)queues_json(text + n, size - (size_t)n - 8);
    n += snprintf(text + n, 8, "}}\n");
    bool sent = reply(c, r, 200, "Content-Type: application/json\r\n", text, (size_t)n);
    free(text);
    return sent;
}

/* --- connections -------------------------------------------------------------------- */

static bool serve(struct conn *c, struct request *r)
{
    if (r->chunked)
        return false;
    if (r->target[0])
        return serve_aws(c, r);
    if (!strcmp(r->bucket, "_stats"))
        return serve_stats(c, r);
    if (!strcmp(r->bucket, "_held"))
        return serve_held(c, r);
    if (!strcmp(r->bucket, "_offered"))
        return serve_offered(c, r);
    return serve_s3(c, r);
}

static void count_open(void)
{
    unsigned long long now = ++counters.open, most = counters.most_open;
    counters.connections++;
    while (now > most && !atomic_compare_exchange_weak(&counters.most_open, &most, now))
        ;
}

static void talk(struct conn *c)
{
    struct request r;
    char *head = malloc(IN_SIZE + 1);
    while (read_request(c, &r, head) && serve(c, &r) && !r.close)
        ;
    free(head);
}

struct accepted { int fd; bool secure; };

static void *connection(void *given)
{
    struct accepted *accepted = given;
    struct conn *c = malloc(sizeof *c);
    c->fd = accepted->fd;
    c->ssl = NULL;
    c->at = c->have = c->out_len = 0;
    count_open();
    if (accepted->secure) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
    }
    if (!c->ssl || SSL_accept(c->ssl) == 1) {
        talk(c);
        if (c->ssl)
            SSL_shutdown(c->ssl);
    }
    SSL_free(c->ssl);
    close(c->fd);
    counters.open--;
    free(c);
    free(accepted);
    return NULL;
}

struct listener { int fd; bool secure; };

static void *accept_for_ever(void *given)
{
    struct listener *listener = given;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (;;) {
        struct accepted *a = malloc(sizeof *a);
        pthread_t thread;
        int one = 1;
        a->fd = accept(listener->fd, NULL, NULL);
        a->secure = listener->secure;
        setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (a->fd < 0 || pthread_create(&thread, &small, connection, a)) {
            if (a->fd >= 0)
                close(a->fd);
            free(a);
            usleep(1000);
        }
    }
    return NULL;
}

static int listen_on(struct listener *listener, int port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof where;
    int one = 1;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener->fd, (struct sockaddr *)&where, size) || listen(listener->fd, BACKLOG) ||
        getsockname(listener->fd, (struct sockaddr *)&where, &size)) {
        perror("bench server");
        exit(1);
    }
    return ntohs(where.sin_port);
}

/* The suite that S3 and Cloud Storage choose, so that every mover pays for the same cipher. */
static void set_up_tls(const char *pem)
{
    tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_mode(tls, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_default_read_buffer_len(tls, QUICK);
    if (SSL_CTX_use_certificate_chain_file(tls, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, pem, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

static void usage(void)
{
    fputs("usage: server --pem FILE [--port N] [--plain-port N] [--delay MS] [--throttle R] [--md5]\n"
          "              [--refuse PER-MILLE] [--duplicates EVERY]\n"
          "  listens on 127.0.0.1 with and without TLS, prints the ports as one line of JSON,\n"
          "  and ends with its parent\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"pem", 1, 0, 'c'}, {"port", 1, 0, 'p'}, {"plain-port", 1, 0, 'q'},
        {"delay", 1, 0, 'd'}, {"throttle", 1, 0, 't'}, {"md5", 0, 0, 'm'},
        {"refuse", 1, 0, 'r'}, {"duplicates", 1, 0, 'D'}, {0}};
    static struct listener secure = {.secure = true}, plain;
    const char *pem = NULL;
    int option, port = 0, plain_port = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c': pem = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'q': plain_port = atoi(optarg); break;
        case 'd': options.delay_ms = atol(optarg); break;
        case 't': options.throttle = atol(optarg); break;
        case 'm': options.md5 = true; break;
        case 'r': options.refuse = atol(optarg); break;
        case 'D': options.duplicates = atol(optarg); break;
        default: usage();
        }
    }
    if (!pem)
        usage();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    set_up_tls(pem);
    set_up_store();
    port = listen_on(&secure, port);
    plain_port = listen_on(&plain, plain_port);
    printf("{\"tls\":%d,\"plain\":%d,\"pid\":%d}\n", port, plain_port, getpid());
    fflush(stdout);
    pthread_t other;
    pthread_create(&other, NULL, accept_for_ever, &plain);
    accept_for_ever(&secure);
}
