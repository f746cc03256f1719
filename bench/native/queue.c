/* What becomes of a queue's messages: which are in whose hands until when, which are deleted. A
   message that is neither deleted nor renewed when its lease ends comes again, as SQS's do.

   With --duplicates N, after every N objects comes one message more, which tells of an object of
   this N, or of the N before, once more; and one message in N is delivered twice at once. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct message {
    double due;             /* in hand until then */
    uint32_t acked;         /* a bit for each delivery that was deleted */
    uint8_t receives;
    bool held, waiting, deleted;
};

static struct queue *queues;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double seconds(void)
{
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return (double)clock.tv_sec + (double)clock.tv_nsec / 1e9;
}

/* --- queues ------------------------------------------------------------------------- */

static struct queue *new_queue(const char *name)
{
    struct queue *q = calloc(1, sizeof *q);
    snprintf(q->name, sizeof q->name, "%s", name);
    char *start = strchr(q->name, '_');
    if (start)
        snprintf(q->bucket, sizeof q->bucket, "%.*s", (int)strcspn(start + 1, "_"), start + 1);
    q->jobs = !strncmp(name, "jobs_", 5);
    if (!source_of(q->bucket, &q->source)) {
        free(q);
        return NULL;
    }
    q->count = q->source.count + (options.duplicates ? q->source.count / options.duplicates : 0);
    q->messages = calloc((size_t)q->count + 1, sizeof *q->messages);
    q->next = queues;
    return queues = q;
}

struct queue *queue_named(const char *name)
{
    pthread_mutex_lock(&lock);
    struct queue *q = queues;
    while (q && strcmp(q->name, name))
        q = q->next;
    if (!q)
        q = new_queue(name);
    pthread_mutex_unlock(&lock);
    return q;
}

size_t queues_json(char *out, size_t size)
{
    size_t used = 0;
    pthread_mutex_lock(&lock);
    for (struct queue *q = queues; q && used + 512 < size; q = q->next)
        used += (size_t)snprintf(out + used, size - used,
            "%s\"%s\":{\"count\":%lld,\"given\":%lld,\"deleted\":%lld,\"returned\":%lld,"
            "\"deliveries\":%lld,\"expired\":%lld,\"deleted_again\":%lld,\"acks_twice\":%lld,"
            "\"strange\":%lld,\"held\":%lld,\"seconds\":%.3f}",
            q == queues ? "" : ",", q->name, q->count, q->given, q->deleted, q->returned_ever,
            q->deliveries, q->expired, q->deleted_again, q->acks_twice, q->strange, q->held,
            q->last_deleted - q->first_given);
    pthread_mutex_unlock(&lock);
    return used;
}

long long queue_visible(const struct queue *q)
{
    return q->count - q->given + q->returned_count;
}

static long long object_of(const struct queue *q, long long message)
{
    long long every = options.duplicates;
    if (!every)
        return message;
    long long group = message / (every + 1), place = message % (every + 1);
    if (place < every || group >= q->source.count / every)
        return group * every + place;
    return (group % 2 ? group - 1 : group) * every;
}

/* --- messages ----------------------------------------------------------------------- */

static void line_up(struct queue *q, long long number)
{
    if (q->returned_count == q->returned_room) {
        q->returned_room = q->returned_room ? 2 * q->returned_room : 64;
        q->returned = realloc(q->returned, (size_t)q->returned_room * sizeof *q->returned);
    }
    q->returned[q->returned_count++] = number;
}

static void give_back(struct queue *q, long long number)
{
    struct message *m = &q->messages[number];
    if (m->deleted || m->waiting)
        return;
    q->held -= m->held;
    m->held = false;
    m->waiting = true;
    line_up(q, number);
}

/* Leases that ended, looked for once a second. */
static void expire(struct queue *q, double now)
{
    if (now < q->looked + 1)
        return;
    q->looked = now;
    for (long long number = 0; number < q->given; number++)
        if (q->messages[number].held && q->messages[number].due <= now) {
            give_back(q, number);
            q->expired++;
        }
}

static struct delivery hand_out(struct queue *q, long long number, double due)
{
    struct message *m = &q->messages[number];
    q->held += !m->deleted && !m->held;
    m->held = !m->deleted;
    m->waiting = false;
    m->due = due;
    m->receives += m->receives < 31;
    q->deliveries++;
    return (struct delivery){number, object_of(q, number), m->receives};
}

size_t queue_take(struct queue *q, struct delivery *taken, size_t limit, long lease)
{
    long long every = options.duplicates;
    size_t count = 0;
    pthread_mutex_lock(&lock);
    double now = seconds();
    if (!q->first_given)
        q->first_given = q->last_deleted = now;
    expire(q, now);
    while (count < limit && q->returned_count)
        taken[count++] = hand_out(q, q->returned[--q->returned_count], now + (double)lease);
    for (; count < limit && q->given < q->count; q->given++) {
        taken[count++] = hand_out(q, q->given, now + (double)lease);
        if (every && q->given % every == every / 2)
            line_up(q, q->given);
    }
    pthread_mutex_unlock(&lock);
    return count;
}

/* NUMBER-DELIVERY; NULL where no such delivery was made. */
static struct message *delivered(struct queue *q, const char *handle, long long *number, int *turn)
{
    if (sscanf(handle, "%lld-%d", number, turn) == 2 && *number >= 0 && *number < q->given &&
        *turn >= 1 && *turn <= q->messages[*number].receives)
        return &q->messages[*number];
    q->strange++;
    return NULL;
}

void queue_delete(struct queue *q, const char *handle)
{
    long long number;
    int turn;
    pthread_mutex_lock(&lock);
    struct message *m = delivered(q, handle, &number, &turn);
    if (m) {
        q->acks_twice += m->acked >> turn & 1;
        m->acked |= 1u << turn;
        q->deleted += !m->deleted;
        q->deleted_again += m->deleted;
        q->held -= m->held;
        m->deleted = true;
        m->held = false;
        q->last_deleted = seconds();
    }
    pthread_mutex_unlock(&lock);
}

void queue_lease(struct queue *q, const char *handle, long lease)
{
    long long number;
    int turn;
    pthread_mutex_lock(&lock);
    struct message *m = delivered(q, handle, &number, &turn);
    if (m && !lease) {
        q->returned_ever++;
        give_back(q, number);
    } else if (m) {
        m->due = seconds() + (double)lease;
    }
    pthread_mutex_unlock(&lock);
}
