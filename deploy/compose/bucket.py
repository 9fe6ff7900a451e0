"""Makes buckets in the S3 store, unless they are there: MLflow's, or those of $BUCKETS; waits for a store that starts."""

import os
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

WAIT_S = 60.0


def make_buckets(endpoint: str, names: list[str], wait_s: float = WAIT_S) -> None:
    """Makes them.

    Raises:
        BotoCoreError, ClientError: the store did not answer within the time, or refused.
    """
    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            there = [each["Name"] for each in store.list_buckets().get("Buckets", [])]
            for name in names:
                if name not in there:
                    store.create_bucket(Bucket=name)
            return
        except (BotoCoreError, ClientError) as error:
            refused = isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            if refused or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    wanted = os.environ.get("BUCKETS", "mlflow").split()
    make_buckets(os.environ["MLFLOW_S3_ENDPOINT_URL"], wanted)
    sys.stderr.write(f"there is {', '.join(wanted)}\n")
